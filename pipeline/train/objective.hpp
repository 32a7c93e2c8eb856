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
};
Objective objective(std::string_view name);  // throws BadExperiment naming the known ones
std::string_view name_of(Objective objective);

// An objective as its parts.
struct ObjectiveParts {
  enum class Examples { none, descent, ascent, bounded_ascent, rejected, negative };  // the last two: dpo, npo
  enum class Retain { none, cross_entropy, divergence };
  Examples examples = Examples::none;
  bool refusals = false;
  Retain retain = Retain::none;

  // Whether a token's weight depends on the losses themselves, so that they are computed once before.
  bool weighs_by_value() const;
  // Whether the model as it was before the training is asked too.
  bool compares() const;
};
ObjectiveParts parts_of(Objective objective);

}  // namespace cmc::train
