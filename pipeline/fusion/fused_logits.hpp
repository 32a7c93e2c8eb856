#pragma once
#include <torch/types.h>

#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"
#include "pipeline/fusion/logit_term.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::fusion {

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

  // What these distributions are like, [R] float32: mean and variance of log p under p (nat, nat²).
  struct Moments {
    torch::Tensor mean, variance;
  };
  Moments moments() const;
  // These rows in this order; each at most once.
  FusedLogits of_rows(std::span<const int64_t> rows) const;

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
