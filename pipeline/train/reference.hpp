#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/train/forget_terms.hpp"
#include "pipeline/train/frozen_model.hpp"
#include "pipeline/train/training.hpp"

namespace cmc::train {

// The model as it was before the training ("oracle" in TOFU's code): the fused distribution, with the trained model's
// first values in it. What does not change is computed once and kept, by the example's content, in passes as a
// HiddenStore makes them.
class Reference {
 public:
  // Remembers the values that training.trained has now.
  explicit Reference(const Training& training);

  // What the trained model added to the fused logits at the predicting positions of examples; its states are kept.
  LogitTerm term(std::span<const Example* const> examples) const { return frozen_term(trained_, examples, part_); }
  HiddenStore& states() { return *trained_.states; }

  // Sum of cross-entropies of each example's labels (nat).
  std::vector<double> losses(std::span<const Example* const> examples);

 private:
  void compute_losses(const std::vector<const Example*>& pass);

  const std::vector<FrozenModel>& frozen_;
  VocabularyPart part_;
  FrozenModel trained_;
  int64_t memory_bytes_, pass_tokens_;
  std::unordered_map<std::string, double> losses_;  // by content key
};

}  // namespace cmc::train
