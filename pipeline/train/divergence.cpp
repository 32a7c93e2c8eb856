#include "pipeline/train/divergence.hpp"

#include <algorithm>

namespace cmc::train {
namespace {
using torch::Tensor;

// From the logits p and q of both: writes Σ softmax(p) (log softmax(p) − log softmax(q)) and replaces q by
// w (softmax(q) − softmax(p)).
void compare(Tensor p, Tensor q, const Tensor& weights, Tensor divergences) {
  p.sub_(torch::logsumexp(p, 1, true));
  q.sub_(torch::logsumexp(q, 1, true));
  const Tensor probability = p.exp();
  divergences.copy_(p.sub_(q).mul_(probability).sum(1));
  q.exp_().sub_(probability).mul_(weights.unsqueeze(1));
}

}  // namespace

DivergenceOutput fused_divergence(const DivergenceInput& input) {
  check_rows(input);
  const int64_t total = input.weights.size(0), vocabulary = input.trained.weight.size(0);
  check_term(input.reference, total, vocabulary);
  GatheredGradient gradient(input);
  const int64_t step = chunk_rows(input, input.weights.device().is_cpu() ? 2 : 3);
  const auto options = input.weights.options().requires_grad(false);
  const Tensor divergences = torch::empty({total}, options);
  Tensor value;
  {
    const torch::NoGradGuard closed_form;
    const Tensor buffer = torch::empty({2, step, vocabulary}, options);
    for (int64_t first = 0; first < total; first += step) {
      const int64_t count = std::min(step, total - first);
      Tensor p = buffer[0].narrow(0, 0, count), q = buffer[1].narrow(0, 0, count);
      const double add_to = add_terms(input.frozen, first, q);
      if (add_to != 0) p.copy_(q);
      add_term(input.reference, first, add_to, p);
      const Tensor slope = add_term(input.trained, first, add_to, q);
      for_each_row(q, [&](int64_t row, int64_t rows) {
        compare(p.narrow(0, row, rows), q.narrow(0, row, rows), input.weights.narrow(0, first + row, rows),
                divergences.narrow(0, first + row, rows));
      });
      gradient.add(first, q, slope);
    }
    value = torch::dot(input.weights, divergences);
  }
  return {gradient.attach(value), divergences};
}

}  // namespace cmc::train
