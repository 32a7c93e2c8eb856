#include "pipeline/train/soft_target.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/train/row_losses.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// Replaces the fused logits by w (softmax(fused) − target).
void pull(const PairedRows& rows, const SoftTargetInput& input, const SoftTargetOutput& output) {
  const VocabularyPart& part = input.part;
  const VocabularyPart::Places labels = part.places(rows.of(input.labels));
  Tensor target = rows.other, q = rows.fused;
  part.add_at(target, labels, torch::full_like(labels.index, -input.penalty, target.options()));
  if (has_row_loops(q, part)) {
    const Tensor crossed = rows.of(output.token_loss);
    rows.of(output.label_loss).copy_(normalisers_of(q) - part.at(q, labels).squeeze(1));
    compared_rows(target, q, rows.of(input.weights), {crossed, {}});
    crossed.neg_();
    return;
  }
  target.sub_(part.logsumexp(target)).exp_();
  q.sub_(part.logsumexp(q));
  rows.of(output.label_loss).copy_(-part.at(q, labels).squeeze(1));
  rows.of(output.token_loss).copy_(-part.sum(target * q).squeeze(1));
  q.exp_().sub_(target).mul_(rows.of(input.weights).unsqueeze(1));
}

}  // namespace

SoftTargetOutput fused_soft_target(const SoftTargetInput& input) {
  check_rows(input);
  expect(input.labels.sizes() == input.weights.sizes() && input.labels.scalar_type() == torch::kLong,
         "labels are [N] int64");
  GatheredGradient gradient(input);
  const auto options = input.weights.options().requires_grad(false);
  SoftTargetOutput output{
      {}, torch::empty({input.weights.size(0)}, options), torch::empty({input.weights.size(0)}, options)};
  compare_rows(input, input.teacher ? &*input.teacher : nullptr, gradient,
               [&](const PairedRows& rows) { pull(rows, input, output); });
  output.loss = gradient.attach(torch::dot(input.weights, output.token_loss));
  return output;
}

}  // namespace cmc::train
