#include "pipeline/train/soft_target.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

struct Rows {
  Tensor teacher, fused;          // [C, V] logits, overwritten
  Tensor labels, weights;         // [C]
  Tensor token_loss, label_loss;  // [C] written
};

// Replaces `fused` by w (softmax(fused) − target).
void pull(const Rows& rows, double penalty) {
  const Tensor index = rows.labels.unsqueeze(1);
  Tensor target = rows.teacher, q = rows.fused;
  target.scatter_(1, index, target.gather(1, index) - penalty);
  target.sub_(target.logsumexp(1, true)).exp_();
  q.sub_(q.logsumexp(1, true));
  rows.label_loss.copy_(-q.gather(1, index).squeeze(1));
  rows.token_loss.copy_(-(target * q).sum(1));
  q.exp_().sub_(target).mul_(rows.weights.unsqueeze(1));
}

}  // namespace

SoftTargetOutput fused_soft_target(const SoftTargetInput& input) {
  check_rows(input);
  const int64_t total = input.weights.size(0), vocabulary = input.trained.weight.size(0);
  expect(input.labels.sizes() == input.weights.sizes() && input.labels.scalar_type() == torch::kLong,
         "labels are [N] int64");
  if (input.teacher) check_term(*input.teacher, total, vocabulary);
  GatheredGradient gradient(input);
  const int64_t step = chunk_rows(input, input.weights.device().is_cpu() ? 2 : 3);
  const auto options = input.weights.options().requires_grad(false);
  const Tensor token_loss = torch::empty({total}, options), label_loss = torch::empty({total}, options);
  Tensor value;
  {
    const torch::NoGradGuard closed_form;
    const Tensor buffer = torch::empty({2, step, vocabulary}, options);
    for (int64_t first = 0; first < total; first += step) {
      const int64_t count = std::min(step, total - first);
      Tensor teacher = buffer[0].narrow(0, 0, count), fused = buffer[1].narrow(0, 0, count);
      const double add_to = add_terms(input.frozen, first, fused);
      if (input.teacher) {
        if (add_to != 0) teacher.copy_(fused);
        add_term(*input.teacher, first, add_to, teacher);
      }
      const Tensor slope = add_term(input.trained, first, add_to, fused);
      if (!input.teacher) teacher.copy_(fused);
      for_each_row(fused, [&](int64_t row, int64_t rows) {
        const auto of = [&](const Tensor& all) { return all.narrow(0, first + row, rows); };
        pull({teacher.narrow(0, row, rows), fused.narrow(0, row, rows), of(input.labels), of(input.weights),
              of(token_loss), of(label_loss)},
             input.penalty);
      });
      gradient.add(first, fused, slope);
    }
    value = torch::dot(input.weights, token_loss);
  }
  return {gradient.attach(value), token_loss, label_loss};
}

}  // namespace cmc::train
