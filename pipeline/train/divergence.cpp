#include "pipeline/train/divergence.hpp"

#include "pipeline/train/row_losses.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// From the logits p and q of both: writes Σ softmax(p) (log softmax(p) − log softmax(q)) and replaces q by
// w (softmax(q) − softmax(p)).
void compare(const VocabularyPart& part, Tensor p, Tensor q, const Tensor& weights, Tensor divergences) {
  if (has_row_loops(q, part)) return compared_rows(p, q, weights, {{}, divergences});
  p.sub_(part.logsumexp(p));
  q.sub_(part.logsumexp(q));
  const Tensor probability = p.exp();
  divergences.copy_(part.sum(p.sub_(q).mul_(probability)).squeeze(1));
  q.exp_().sub_(probability).mul_(weights.unsqueeze(1));
}

}  // namespace

DivergenceOutput fused_divergence(const DivergenceInput& input) {
  check_rows(input);
  GatheredGradient gradient(input);
  const Tensor divergences = torch::empty({input.weights.size(0)}, input.weights.options().requires_grad(false));
  compare_rows(input, input.reference ? &*input.reference : nullptr, gradient, [&](const PairedRows& rows) {
    if (!input.reference) Tensor(rows.other).zero_();
    compare(input.part, rows.other, rows.fused, rows.of(input.weights), rows.of(divergences));
  });
  return {gradient.attach(torch::dot(input.weights, divergences)), divergences};
}

}  // namespace cmc::train
