#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/fusion/chosen.hpp"
#include "pipeline/fusion/fused_logits.hpp"
#include "pipeline/fusion/sampling.hpp"

namespace cmc::fusion {

// Plain ids (a tokenizer's) as ids of one vocabulary.
template <class Token>
std::vector<Token> tokens_of(std::span<const int32_t> ids) {
  std::vector<Token> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) tokens.push_back(Token{id});
  return tokens;
}

template <class Token>
std::vector<int32_t> plain_ids(const std::vector<Token>& tokens) {
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  for (const auto token : tokens) ids.push_back(token.value);
  return ids;
}

// Which deltas steer a sequence, and how strongly: base + Σ alpha · delta.
struct Steering {
  struct Term {
    int64_t delta = 0;   // index among the source's deltas, of which each stands in one term at most
    float alpha = 0.0f;  // 0: as if the term were left out
  };
  std::vector<Term> terms = {};  // none: the base alone (vanilla)

  float alpha_of(int64_t delta) const {
    for (const auto& term : terms)
      if (term.delta == delta) return term.alpha;
    return 0.0f;
  }
};

// One sequence to be continued.
struct Row {
  std::vector<BaseToken> prompt;  // what the base reads, special tokens included; not empty
  // [deltas of the source, or fewer: nothing] what a delta of another vocabulary, or a contrast, reads; ignored for
  // others, which read what the base reads.
  std::vector<std::vector<DeltaToken>> delta_prompts = {};
  Steering steering = {};
};

// A row of a step.
struct Turn {
  int64_t slot = 0;      // open; each at most once in a step
  double uniform = 0.0;  // in [0, 1): decides the row's draw; ignored when greedy, and where no token is chosen
};

// One known sequence whose tokens from `first` on are predicted, each from all before it.
struct ForcedSequence {
  std::vector<BaseToken> tokens;
  int64_t first = 1;  // 1 <= first <= tokens.size()
  Steering steering = {};
  // What a delta of another vocabulary reads; ignored in the same vocabulary, but for a contrast's prompt.
  struct DeltaText {
    // Read in place of the prompt; the text of the tokens from `first` on, encoded apart, follows it as in decoding.
    // Empty: the delta reads the text of all tokens so far (protocol, "Scoring in another vocabulary").
    std::vector<DeltaToken> prompt;
    // Whose text is read in place of that of `tokens`, position by position, and whole after its end. Empty: `tokens`.
    std::vector<BaseToken> tokens;
    auto operator<=>(const DeltaText&) const = default;
  };
  std::vector<DeltaText> deltas = {};  // [deltas of the source]; fewer: the others read the text of all tokens
};

// A predicted position: logits that stand for `sequences[sequence].tokens[token]`.
struct ForcedPosition {
  int64_t sequence = 0, token = 0;
};

// Answers "what is the next-token distribution of this batch?": the one question decoding, scoring and the logit shift
// ask.
class LogitSource {
 public:
  virtual ~LogitSource() = default;

  virtual int64_t vocabulary() const = 0;  // of the base: the width of all logits
  virtual int64_t slots() const = 0;       // rows that can be open at once
  // Steps that may be started before the tokens of one are asked for, so that a device never waits for its host. A row
  // that turns out to have ended has then computed so many for nothing. 0: ask at once.
  virtual int64_t lag() const = 0;

  // Starts a sequence in a free slot. Throws BadData (empty prompt, id out of range, unknown delta).
  virtual void open(int64_t slot, Row row) = 0;
  // Lets the models read what is new in these slots (of a prompt, a part at most), chooses a token for each row whose
  // prompt is read whole, where its logits are, and gives it to the row's models as their next token. Does not wait for
  // a device. Steps are in the order of their calls.
  virtual std::shared_ptr<Chosen> step(std::span<const Turn> turns, const Sampling& sampling) = 0;
  virtual void close(int64_t slot) = 0;  // frees the slot; closing a free one is allowed

  // Teacher forcing. Calls `take(logits, positions)` in chunks, one row per predicted position, so that tokens ×
  // vocabulary is never held at once. The positions of one sequence come in order, the sequences in any. Equal
  // sequences that differ in steering share the models' passes (a sweep of alpha costs little more than one), and
  // neighbours that begin alike share that beginning. In another vocabulary the delta reads, for each position, the
  // text so far encoded with its own tokenizer (protocol, "Decoding": scoring). Leaves open slots untouched.
  using TakeForced = std::function<void(const FusedLogits&, std::span<const ForcedPosition>)>;
  virtual void force(std::span<const ForcedSequence> sequences, const TakeForced& take) = 0;
};

}  // namespace cmc::fusion
