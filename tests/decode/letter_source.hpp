#pragma once
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::decode {

// One letter a token: 0 is the end token, 1 'a', …, 26 'z', 27 a space.
class LetterTokenizer final : public text::Tokenizer {
 public:
  LetterTokenizer() {
    vocabulary_.push_back({"</s>", "", text::TokenKind::special});
    for (char letter = 'a'; letter <= 'z'; ++letter)
      vocabulary_.push_back({std::string(1, letter), std::string(1, letter), text::TokenKind::text});
    vocabulary_.push_back({" ", " ", text::TokenKind::text});
    special_.end = 0;
  }
  std::vector<int32_t> encode(std::string_view text, text::AddedTokens) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(c == ' ' ? 27 : c - 'a' + 1);
    return ids;
  }
  std::string decode(std::span<const int32_t> ids, SpecialText) const override {
    std::string text;
    for (const int32_t id : ids) text += vocabulary_.at(static_cast<size_t>(id)).bytes;
    return text;
  }
  text::TokenizerKind kind() const override { return text::TokenizerKind::byte_level_bpe; }
  const std::vector<text::VocabularyEntry>& vocabulary() const override { return vocabulary_; }
  const text::SpecialTokens& special() const override { return special_; }

 private:
  std::vector<text::VocabularyEntry> vocabulary_;
  text::SpecialTokens special_;
};

// A "language model" whose logits are a hash of all tokens so far: any mix-up of rows or slots shows. Counts what it is
// asked for. Its tokens are known at once, yet with a lag nobody may ask for them before later steps have started; a
// prompt longer than `chunk` takes several steps.
class LetterSource final : public fusion::LogitSource {
 public:
  explicit LetterSource(int64_t slots, int64_t lag = 0, size_t chunk = 1000)
      : contexts_(static_cast<size_t>(slots)), unread_(static_cast<size_t>(slots)), lag_(lag), chunk_(chunk) {}

  int64_t vocabulary() const override { return 28; }
  int64_t slots() const override { return static_cast<int64_t>(contexts_.size()); }
  int64_t lag() const override { return lag_; }
  void open(int64_t slot, fusion::Row row) override {
    auto& context = contexts_.at(static_cast<size_t>(slot));
    if (context) throw std::logic_error("opened twice");
    context = row.prompt;
    unread_[static_cast<size_t>(slot)] = row.prompt.size();
  }
  std::shared_ptr<fusion::Chosen> step(std::span<const fusion::Turn> turns, const fusion::Sampling& sampling) override {
    ++steps;
    if (fail_at == steps) throw std::runtime_error("the device is lost");
    std::vector<bool> chose;
    std::vector<BaseToken> tokens;
    for (const auto& turn : turns) {
      auto& context = contexts_.at(static_cast<size_t>(turn.slot)).value();
      auto& unread = unread_[static_cast<size_t>(turn.slot)];
      chose.push_back(unread <= chunk_);
      unread -= std::min(unread, chunk_);
      if (!chose.back()) continue;
      ++rows;
      auto logits = torch::empty({1, vocabulary()}, torch::kFloat32);
      fill(context, logits.data_ptr<float>());
      tokens.push_back(fusion::FusedLogits(logits, fusion::Normalisation::log_softmax, {})
                           .choose(sampling, std::vector<double>{turn.uniform})[0]);
      context.push_back(tokens.back());
    }
    return std::make_shared<fusion::Chosen>(std::move(chose), tokens);
  }
  void close(int64_t slot) override { contexts_.at(static_cast<size_t>(slot)).reset(); }
  void force(std::span<const fusion::ForcedSequence> sequences, const TakeForced& take) override {
    for (size_t s = 0; s < sequences.size(); ++s)
      for (auto t = sequences[s].first; t < static_cast<int64_t>(sequences[s].tokens.size()); ++t) {
        auto logits = torch::empty({1, vocabulary()}, torch::kFloat32);
        fill({sequences[s].tokens.begin(), sequences[s].tokens.begin() + t}, logits.data_ptr<float>());
        const fusion::ForcedPosition at{static_cast<int64_t>(s), t};
        take({logits, fusion::Normalisation::log_softmax, {}}, {&at, 1});
      }
  }
  static void fill(const std::vector<BaseToken>& context, float* logits) {
    std::string key;
    for (const auto token : context) key += std::to_string(token.value) + ",";
    Random random(seed_of({key}));
    for (int v = 0; v < 28; ++v) logits[v] = static_cast<float>(4.0 * random.uniform());
  }
  int64_t open_slots() const {
    int64_t open = 0;
    for (const auto& context : contexts_) open += context.has_value();
    return open;
  }

  int64_t steps = 0, rows = 0, fail_at = -1;

 private:
  std::vector<std::optional<std::vector<BaseToken>>> contexts_;
  std::vector<size_t> unread_;  // tokens of the prompts
  int64_t lag_;
  size_t chunk_;
};

}  // namespace cmc::decode
