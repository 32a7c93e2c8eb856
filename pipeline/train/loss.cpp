#include "pipeline/train/loss.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/train/row_losses.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// Replaces logits z by w (softmax(z) − onehot) and writes the cross-entropies.
void softmax_minus_onehot(const VocabularyPart& part, Tensor z, const Tensor& labels, const Tensor& weights,
                          Tensor losses) {
  if (has_row_loops(z, part)) return cross_entropy_rows(z, labels, weights, losses);
  const VocabularyPart::Places places = part.places(labels);
  const Tensor max = part.max(z);
  const Tensor at_label = part.at(z, places) - max;
  z.sub_(max).exp_();
  const Tensor sum = part.sum(z);
  losses.copy_((sum.log() - at_label).squeeze(1));
  const Tensor w = weights.unsqueeze(1);
  z.mul_(w / sum);
  part.add_at(z, places, -w);
}

void check_input(const LossInput& input) {
  check_rows(input);
  const Tensor& labels = input.labels;
  expect(labels.sizes() == input.weights.sizes() && labels.scalar_type() == torch::kLong, "labels are [N] int64");
  if (labels.device().is_cpu()) {
    expect(labels.min().item<int64_t>() >= 0 &&
               labels.max().item<int64_t>() < input.part.vocabulary(input.trained.weight.size(0)),
           "labels are ids of the vocabulary");
  }
}

}  // namespace

LossInput LossInput::rows(int64_t first, int64_t count) const {
  LossInput part = *this;
  for (LogitTerm& term : part.frozen) term = term.rows(first, count);
  part.trained = trained.rows(first, count);
  part.labels = labels.narrow(0, first, count);
  part.weights = weights.narrow(0, first, count);
  return part;
}

LossOutput fused_cross_entropy(const LossInput& input) {
  check_input(input);
  GatheredGradient gradient(input);
  const int64_t total = input.labels.size(0), step = chunk_rows(input, 1);
  const auto options = input.labels.options().dtype(loss_dtype(input.trained));
  const Tensor token_loss = torch::empty({total}, options);
  Tensor value;
  {
    const torch::NoGradGuard closed_form;
    const Tensor buffer = input.memory->of({step, input.trained.weight.size(0)}, options);
    for (int64_t first = 0; first < total; first += step) {
      const int64_t count = std::min(step, total - first);
      Tensor logits = buffer.narrow(0, 0, count);
      const double add_to = add_terms(input.frozen, first, logits);
      const Tensor slope = add_term(input.trained, first, add_to, logits);
      for_each_row(logits, input.part, [&](int64_t row, int64_t rows) {
        const auto of = [&](const Tensor& all) { return all.narrow(0, first + row, rows); };
        softmax_minus_onehot(input.part, logits.narrow(0, row, rows), of(input.labels), of(input.weights),
                             of(token_loss));
      });
      gradient.add(first, logits, slope);
    }
    value = torch::dot(input.weights, token_loss);
  }
  return {gradient.attach(value), token_loss};
}

}  // namespace cmc::train
