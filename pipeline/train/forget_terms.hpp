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

// SimNPO (Fan et al. 2024, equation 4): −2/beta log σ(beta (loss − margin)) of a sequence's mean loss (nat); its
// derivative by that loss.
PreferenceLoss simnpo_loss(double loss, double beta, double margin);

// A number for each sequence of a micro-batch; refusals[i] answers the question of examples[i].
struct PerSequence {
  std::vector<double> examples, refusals;
};
// A number for each label of each sequence.
struct PerLabel {
  std::vector<std::vector<double>> examples, refusals;
};

// What an objective makes of the examples and refusals of a micro-batch.
struct ForgetTerms {
  double value = 0;       // the loss
  PerLabel label_weight;  // its derivative by the loss of each label, where the objective lets gradients through
};

// How much each term counts (gradient.hpp, loss_weights), the objective's weight included, and what it is set to.
struct ForgetScale {
  double examples = 0, refusals = 0;  // of a label's loss
  double sequence = 0;                // of an example's preference loss
  ForgetSettings of = {};
};

// `now`: losses of the labels of each sequence (nat) under the fused model: cross-entropies, of examples with a soft
// target those to it; read for the value, and for the weights where parts.weighs_by_value(). `before`: sums of
// cross-entropies over each sequence under the reference; read where parts.prefers().
ForgetTerms forget_terms(const ObjectiveParts& parts, const ForgetScale& scale, const PerLabel& now,
                         const PerSequence& before);

}  // namespace cmc::train
