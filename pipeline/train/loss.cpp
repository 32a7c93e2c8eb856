#include "pipeline/train/loss.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// softcap(hidden · weightᵀ) in `dtype`, and its derivative by the uncapped logits.
struct Capped {
  Tensor value, slope;  // [C, V]
};
Capped capped_logits(const LogitTerm& term, const Tensor& hidden, torch::Dtype dtype) {
  const Tensor t = torch::mm(hidden, term.weight.t()).to(dtype).div_(term.final_softcap).tanh_();
  return {t * term.final_softcap, 1 - t.square()};
}

// Adds coefficient * logits of the rows [first, first + C) to `logits`; overwrites them when `add_to` is 0.
// Returns the softcap's slope, undefined without one.
Tensor add_term(const LogitTerm& term, int64_t first, double add_to, Tensor& logits) {
  const Tensor hidden = term.hidden.narrow(0, first, logits.size(0));
  if (term.final_softcap > 0) {
    const Capped capped = capped_logits(term, hidden, logits.scalar_type());
    add_to == 0 ? torch::mul_out(logits, capped.value, torch::scalar_tensor(term.coefficient, logits.options()))
                : logits.add_(capped.value, term.coefficient);
    return capped.slope;
  }
  if (hidden.scalar_type() == logits.scalar_type()) {
    torch::addmm_out(logits, logits, hidden, term.weight.t(), add_to, term.coefficient);
  } else {
    const Tensor own = torch::mm(hidden, term.weight.t());
    add_to == 0 ? logits.copy_(own).mul_(term.coefficient)
                : logits.add_(own.to(logits.scalar_type()), term.coefficient);
  }
  return {};
}

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
  z.scatter_add_(1, index, -w);
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

struct Gradients {
  Tensor hidden, weight;  // undefined where not wanted
};

int64_t chunk_rows(const LossInput& input) {
  const int64_t row_bytes = input.trained.weight.size(0) * input.trained.hidden.element_size();
  return std::clamp<int64_t>(input.memory_bytes / std::max<int64_t>(row_bytes, 1), 1, input.labels.size(0));
}

void add_chunk(const LossInput& input, int64_t first, Tensor logits, const Tensor& token_loss, Gradients& gradients) {
  const int64_t rows = logits.size(0);
  double add_to = 0;
  for (const LogitTerm& term : input.frozen) {
    add_term(term, first, add_to, logits);
    add_to = 1;
  }
  const Tensor slope = add_term(input.trained, first, add_to, logits);
  softmax_minus_onehot_rows(logits, input.labels.narrow(0, first, rows), input.weights.narrow(0, first, rows),
                            token_loss.narrow(0, first, rows));
  if (slope.defined()) logits.mul_(slope);
  const double alpha = input.trained.coefficient;
  if (gradients.hidden.defined()) {
    Tensor out = gradients.hidden.narrow(0, first, rows);
    torch::addmm_out(out, out, logits, input.trained.weight, 0, alpha);
  }
  if (gradients.weight.defined()) {
    gradients.weight.addmm_(logits.t(), input.trained.hidden.narrow(0, first, rows), 1, alpha);
  }
}

class FusedCrossEntropy : public torch::autograd::Function<FusedCrossEntropy> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& hidden, const Tensor& weight,
                        const LossInput& input, const Tensor& token_loss, Gradients gradients) {
    (void)hidden;  // named so that autograd sees it; the values are in `input`
    const int64_t rows = chunk_rows(input), total = input.labels.size(0);
    const Tensor buffer = torch::empty({rows, input.trained.weight.size(0)}, token_loss.options());
    for (int64_t first = 0; first < total; first += rows) {
      add_chunk(input, first, buffer.narrow(0, 0, std::min(rows, total - first)), token_loss, gradients);
    }
    context->save_for_backward({gradients.hidden, weight.requires_grad() ? gradients.weight : Tensor()});
    return torch::dot(input.weights, token_loss);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    torch::autograd::variable_list gradients = context->get_saved_variables();
    const bool is_one = upstream[0].device().is_cpu() && upstream[0].item<double>() == 1.0;
    for (Tensor& gradient : gradients) {
      if (gradient.defined() && !is_one) gradient = gradient * upstream[0];
    }
    return {gradients[0], gradients[1], Tensor(), Tensor(), Tensor()};
  }
};

void check_term(const LogitTerm& term, int64_t tokens, int64_t vocabulary) {
  expect(term.hidden.dim() == 2 && term.hidden.size(0) == tokens, "each term has one hidden state per label");
  expect(term.weight.dim() == 2 && term.weight.size(0) == vocabulary, "each term has the same vocabulary");
  expect(term.hidden.size(1) == term.weight.size(1), "hidden states are as wide as the output weight");
  expect(term.hidden.scalar_type() == term.weight.scalar_type(), "hidden states have the dtype of the output weight");
}

void check_input(const LossInput& input) {
  const Tensor& labels = input.labels;
  expect(labels.dim() == 1 && labels.size(0) > 0 && labels.scalar_type() == torch::kLong,
         "labels are [N] int64, N > 0");
  expect(input.weights.sizes() == labels.sizes(), "there is a weight for each label");
  expect(input.weights.scalar_type() == input.trained.hidden.scalar_type(), "weights have the trained states' dtype");
  expect(!input.weight_gradient.defined() || input.weight_gradient.sizes() == input.trained.weight.sizes(),
         "a gradient is shaped like its weight");
  const int64_t vocabulary = input.trained.weight.size(0);
  check_term(input.trained, labels.size(0), vocabulary);
  for (const LogitTerm& term : input.frozen) check_term(term, labels.size(0), vocabulary);
  if (labels.device().is_cpu()) {
    expect(labels.min().item<int64_t>() >= 0 && labels.max().item<int64_t>() < vocabulary,
           "labels are ids of the vocabulary");
  }
}

}  // namespace

LossOutput fused_cross_entropy(const LossInput& given) {
  check_input(given);
  LossInput input = given;
  const Tensor hidden = given.trained.hidden, weight = given.trained.weight;
  input.trained.hidden = hidden.detach();
  input.trained.weight = weight.detach();
  for (LogitTerm& term : input.frozen) {
    term.hidden = term.hidden.detach();
    term.weight = term.weight.detach();
  }
  const bool differentiate = torch::GradMode::is_enabled();
  Gradients gradients;
  if (differentiate && hidden.requires_grad()) gradients.hidden = torch::empty_like(input.trained.hidden);
  if (differentiate && weight.requires_grad()) {
    gradients.weight =
        given.weight_gradient.defined() ? given.weight_gradient : torch::zeros_like(input.trained.weight);
  }
  const Tensor token_loss = torch::empty(input.labels.sizes(), input.trained.hidden.options());
  const Tensor seen = given.weight_gradient.defined() ? input.trained.weight : weight;
  const Tensor loss = FusedCrossEntropy::apply(hidden, seen, input, token_loss, gradients);
  return {loss, token_loss};
}

}  // namespace cmc::train
