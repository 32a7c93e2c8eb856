#pragma once
#include <string_view>

namespace cmc::train {

// What a training minimises. Unlearning: the examples are the forget set. CE is a mean over label tokens.
enum class Objective {
  cross_entropy,      // CE(examples): instruction tuning, fine-tuning
  grad_ascent,        // −CE(examples)
  grad_diff,          // −CE(examples) + CE(a retain example drawn for each): the paper's
  grad_diff_bounded,  // −min(CE(examples), bound) + CE(retain), a micro-batch's mean bounded: not the paper's
  // −CE(examples) + KL(reference ‖ model) on the retain examples' label positions, a mean over them. The direction of
  // TOFU's published code, kl_div(log q, log p), and of its paper; both take every position of the text, questions
  // included, for which the retain examples have to be with_all_labels(). The published mean also counts padding.
  kl,
  // CE(the question of each example with a refusal as its answer) + CE(retain), as in TOFU's paper. Its published code
  // takes one mean over the labels of both instead.
  idk,
  dpo,            // refusals chosen, examples rejected (Rafailov et al. 2023); no retain term, as TOFU's published code
  npo,            // negative preference optimisation (Zhang et al. 2024)
  npo_grad_diff,  // the same + CE(retain)
  // Of open-unlearning's collection (Dorna et al. 2025), with its names and settings:
  simnpo,            // NPO without a reference, by the mean loss of a sequence (Fan et al. 2024) + CE(retain)
  wga,               // ascent weighted by p^beta, p the label's probability (Wang et al. 2025) + CE(retain)
  satimp,            // ascent weighted by p^beta (1 − p)^beta2 (Yang et al. 2025) + CE(retain)
  ceu,               // CE to the model's own distribution without the label (Yang 2025); no retain term
  undial,            // CE to the reference's, its logit of the label lowered by beta (Dong et al. 2024); no retain term
  undial_grad_diff,  // the same + CE(retain)
  // Of ULD's assistant (Ji et al. 2024, remember+uniform): CE(examples) + KL(uniform ‖ model) on the retain examples'
  // label positions, a mean over them; as published on every position of the text, for which the retain examples have
  // to be with_all_labels().
  remember_uniform,
};
Objective objective(std::string_view name);  // throws BadExperiment naming the known ones
std::string_view name_of(Objective objective);

// An objective as its parts.
struct ObjectiveParts {
  enum class Examples {
    none,
    descent,
    ascent,
    bounded_ascent,
    rejected,         // dpo
    negative,         // npo
    simple_negative,  // simnpo
    weighted_ascent,  // wga, satimp
    without_label,    // ceu
    dampened,         // undial
  };
  enum class Retain { none, cross_entropy, divergence, uniform };
  Examples examples = Examples::none;
  bool refusals = false;
  Retain retain = Retain::none;

  // Whether a token's weight depends on the losses themselves, so that they are computed once before.
  bool weighs_by_value() const;
  // Whether that weight compares with the losses of the model as it was before the training.
  bool prefers() const;
  // Whether examples pull towards a distribution instead of to or from their labels (soft_target.hpp).
  bool has_soft_target() const;
  // Whether the retain term is a divergence from another distribution, at every position.
  bool diverges() const { return retain == Retain::divergence || retain == Retain::uniform; }
  // Whether the model as it was before the training is asked at all.
  bool compares() const;
};
ObjectiveParts parts_of(Objective objective);

// What an objective can be set to.
struct ForgetSettings {
  double weight = 1;    // of all but the retain term
  double beta = 0.1;    // of dpo, npo, simnpo; the exponent of wga and satimp; what undial takes off (nat)
  double beta2 = 1;     // the other exponent of satimp
  double margin = 0;    // what simnpo takes off a sequence's mean loss (nat)
  double bound = 6;     // grad_diff_bounded (nat)
  int64_t skipped = 1;  // first labels of an answer that ceu leaves as they are
};
// As its authors, or open-unlearning's configs/trainer, set it.
ForgetSettings published_settings(Objective objective);

}  // namespace cmc::train
