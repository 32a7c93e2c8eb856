#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/train/objective.hpp"

namespace cmc::train {

// A preference loss (nat) and its derivative by the log-ratio it is a function of.
struct PreferenceLoss {
  double value = 0, slope = 0;
};

// Direct preference optimisation (Rafailov et al. 2023, equation 7): −log σ(beta r), where r is what training has added
// to log p(chosen) − log p(rejected).
PreferenceLoss dpo_loss(double log_ratio, double beta);

// Negative preference optimisation (Zhang et al. 2024, equation 3): −2/beta log σ(−beta r), where r is what training
// has added to log p(rejected). Tends to gradient ascent on the sequence's log-probability as beta goes to 0.
PreferenceLoss npo_loss(double log_ratio, double beta);

// A number for each sequence of a micro-batch; refusals[i] answers the question of examples[i].
struct PerSequence {
  std::vector<double> examples, refusals;
};

// What an objective makes of the examples and refusals of a micro-batch.
struct ForgetTerms {
  double value = 0;          // the loss
  PerSequence label_weight;  // its derivative by the cross-entropy of any of the sequence's labels
};

// How much each term counts (gradient.hpp, loss_weights), with what an objective can be set to.
struct ForgetScale {
  double examples = 0, refusals = 0;  // of a label's cross-entropy
  double sequence = 0;                // of an example's preference loss
  double beta = 0.1, bound = 0;
};

// `labels`: how many each example has. `now`: sums of cross-entropies over the labels of each sequence (nat) under the
// fused model; read for the value, and for the weights where parts.weighs_by_value(). `before`: the same under the
// reference; read by the preference losses alone.
ForgetTerms forget_terms(const ObjectiveParts& parts, const ForgetScale& scale, std::span<const int64_t> labels,
                         const PerSequence& now, const PerSequence& before);

}  // namespace cmc::train
