#pragma once
#include <torch/types.h>

#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/fusion/map_variant.hpp"
#include "pipeline/fusion/sampling.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::fusion {

enum class Normalisation { raw, log_softmax };

// Where a device reads which rows a term is for: views of what the step's one copy brought.
struct Placed {
  torch::Tensor row_of;        // [R] int32 row of the term's logits for each row of the base, -1: none
  torch::Tensor coefficients;  // [K] float32
};

// One delta's share of the sum, for some of the rows: coefficient · logits[map], unmapped base tokens get 0.
struct LogitTerm {
  torch::Tensor logits;             // [K, Vi] float32
  std::vector<int64_t> rows;        // [K] row of the base each belongs to; each at most once
  std::vector<float> coefficients;  // [K] alpha
  torch::Tensor map;  // [V] int32 on the logits' device, ids below Vi, -1: unmapped; undefined: same vocabulary
  Normalisation normalisation = Normalisation::raw;  // log_softmax: over the delta's own vocabulary, before mapping
  MapVariant variant = {};                           // the default in the same vocabulary
  Placed placed = {};   // says the same as rows and coefficients; undefined: made when needed
  MapIndex index = {};  // of map and variant, where it is kept; undefined: made when needed
};

// What decides the draws of R rows.
struct Draws {
  Sampling sampling;
  std::span<const double> uniforms;  // [R] in [0, 1), on the host; not read when greedy
  torch::Tensor placed;              // [R] float64: the same where a device reads them
};

// Where a choice goes, on the device of the logits.
struct ChoiceTarget {
  torch::Tensor tokens;  // [R] int32; -1 where a row holds no finite score
  torch::Tensor chosen;  // int32 by slot: chosen[slots[r]] becomes the token of row r, 0 in place of -1
  torch::Tensor slots;   // [R] int32
};

// The next-token scores of R rows as a sum not yet carried out: base + Σ terms. The kernels of CPU and
// CUDA make one pass over the vocabulary and never hold [R, V] temporaries; torch operations stand in elsewhere.
class FusedLogits {
 public:
  // `base`: [R, V] float32. Throws Internal where shapes disagree.
  FusedLogits(torch::Tensor base, Normalisation base_normalisation, std::vector<LogitTerm> terms);

  int64_t rows() const { return base_.size(0); }
  int64_t vocabulary() const { return base_.size(1); }

  // Chooses a token for each row where the logits are, and waits for nothing. Greedy: the most probable, the lowest id
  // among equals; told by the base before its normalisation, whose rounding could make scores equal.
  void choose_into(const Draws& draws, const ChoiceTarget& target) const;
  // The same for a host that waits. Throws BadData where a row holds no finite score.
  std::vector<BaseToken> choose(const Sampling& sampling, std::span<const double> uniforms) const;
  std::vector<BaseToken> argmax() const { return choose({}, {}); }
  // [R] float32 log-probability (nat) of one token a row.
  torch::Tensor log_prob_of(std::span<const BaseToken> tokens) const;
  // [R, V] float32 log-probabilities (nat).
  torch::Tensor log_probs() const;
  // [R, V] float32: the sum itself, the base normalised where the fusion mode says so.
  torch::Tensor scores() const;

  const torch::Tensor& base() const { return base_; }
  const std::vector<LogitTerm>& terms() const { return terms_; }

 private:
  model::OpPath path() const;
  void choose_by_cpu(const Draws& draws, int32_t* tokens) const;
  void best_by_cpu(int32_t* tokens) const;

  torch::Tensor base_;
  Normalisation base_normalisation_;
  std::vector<LogitTerm> terms_;
};

}  // namespace cmc::fusion
