#include "pipeline/train/loss.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// Replaces logits z by w (softmax(z) − onehot) and writes the cross-entropies.
void softmax_minus_onehot(Tensor z, const Tensor& labels, const Tensor& weights, Tensor losses) {
  const Tensor index = labels.unsqueeze(1);
  const Tensor max = z.amax(1, true);
  const Tensor at_label = z.gather(1, index) - max;
  z.sub_(max).exp_();
  const Tensor sum = z.sum(1, true);
  losses.copy_((sum.log() - at_label).squeeze(1));
  const Tensor w = weights.unsqueeze(1);
  z.mul_(w / sum);
  z.scatter_(1, index, z.gather(1, index) - w);  // not scatter_add_, which on CUDA adds in any order
}

// On the CPU a row at a time, so that it stays in the core's cache through all passes.
void softmax_minus_onehot_rows(const Tensor& z, const Tensor& labels, const Tensor& weights, const Tensor& losses) {
  if (!z.device().is_cpu()) return softmax_minus_onehot(z, labels, weights, losses);
  at::parallel_for(0, z.size(0), 1, [&](int64_t begin, int64_t end) {
    const torch::NoGradGuard no_grad;
    for (int64_t i = begin; i < end; ++i) {
      softmax_minus_onehot(z.narrow(0, i, 1), labels.narrow(0, i, 1), weights.narrow(0, i, 1), losses.narrow(0, i, 1));
    }
  });
}

void check_input(const LossInput& input) {
  check_rows(input);
  const Tensor& labels = input.labels;
  expect(labels.sizes() == input.weights.sizes() && labels.scalar_type() == torch::kLong, "labels are [N] int64");
  if (labels.device().is_cpu()) {
    expect(labels.min().item<int64_t>() >= 0 && labels.max().item<int64_t>() < input.trained.weight.size(0),
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
    const Tensor buffer = torch::empty({step, input.trained.weight.size(0)}, options);
    for (int64_t first = 0; first < total; first += step) {
      const int64_t count = std::min(step, total - first);
      Tensor logits = buffer.narrow(0, 0, count);
      const double add_to = add_terms(input.frozen, first, logits);
      const Tensor slope = add_term(input.trained, first, add_to, logits);
      softmax_minus_onehot_rows(logits, input.labels.narrow(0, first, count), input.weights.narrow(0, first, count),
                                token_loss.narrow(0, first, count));
      gradient.add(first, logits, slope);
    }
    value = torch::dot(input.weights, token_loss);
  }
  return {gradient.attach(value), token_loss};
}

}  // namespace cmc::train
