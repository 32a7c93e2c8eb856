#include "pipeline/train/fused_rows.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/model/matrix_product.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/train/row_losses.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// hidden · weightᵀ in `dtype`. On CUDA straight from the sums of the product, where 16-bit factors would else give
// logits of 16 bits.
Tensor logits_of(const Tensor& hidden, const Tensor& weight, torch::Dtype dtype) {
  if (hidden.scalar_type() == dtype) return torch::mm(hidden, weight.t());
  if (hidden.is_cuda() && dtype == torch::kFloat32) return at::mm(hidden, weight.t(), torch::kFloat32);
  return torch::mm(hidden, weight.t()).to(dtype);
}

Tensor with_bias(const Tensor& logits, const LogitTerm& term) {
  return term.bias.defined() ? logits + term.bias.to(logits.scalar_type()) : logits;
}

// Whether the model layer's products take these.
bool has_products(const Tensor& logits, std::initializer_list<Tensor> factors) {
  const torch::NoGradGuard closed_form;
  return model::path_of(logits) == model::OpPath::cpu_kernels && std::ranges::all_of(factors, model::takes_product);
}

// softcap(hidden · weightᵀ + bias) in `dtype`, and its derivative by the uncapped logits.
struct Capped {
  Tensor value, slope;  // [C, V]
};
Capped capped_logits(const LogitTerm& term, const Tensor& hidden, torch::Dtype dtype) {
  const Tensor t = with_bias(logits_of(hidden, term.weight, dtype), term).div_(term.final_softcap).tanh_();
  return {t * term.final_softcap, 1 - t.square()};
}

struct Gathered {
  Tensor hidden, weight;
};

// Hands out gradients that are known already.
class KnownGradient : public torch::autograd::Function<KnownGradient> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& hidden, const Tensor& weight,
                        const Tensor& value, const Gathered& gathered) {
    (void)hidden;  // named so that autograd sees them
    context->save_for_backward({gathered.hidden, weight.requires_grad() ? gathered.weight : Tensor()});
    return value.clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    torch::autograd::variable_list gradients = context->get_saved_variables();
    const bool is_one = upstream[0].device().is_cpu() && upstream[0].item<double>() == 1.0;
    for (Tensor& gradient : gradients) {
      if (gradient.defined() && !is_one) gradient = gradient * upstream[0].to(gradient.scalar_type());
    }
    return {gradients[0], gradients[1], Tensor(), Tensor()};
  }
};

}  // namespace

LogitTerm LogitTerm::rows(int64_t first, int64_t count) const {
  LogitTerm part = *this;
  part.hidden = hidden.narrow(0, first, count);
  return part;
}

torch::Dtype loss_dtype(const LogitTerm& trained) {
  return trained.hidden.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

void check_term(const LogitTerm& term, int64_t rows, int64_t vocabulary) {
  expect(term.hidden.dim() == 2 && term.hidden.size(0) == rows, "each term has one hidden state per row");
  expect(term.weight.dim() == 2 && term.weight.size(0) == vocabulary, "each term has the same vocabulary");
  expect(term.hidden.size(1) == term.weight.size(1), "hidden states are as wide as the output weight");
  expect(term.hidden.scalar_type() == term.weight.scalar_type(), "hidden states have the dtype of the output weight");
}

void check_rows(const FusedRows& rows) {
  expect(rows.weights.dim() == 1 && rows.weights.size(0) > 0, "weights are [N], N > 0");
  expect(rows.weights.scalar_type() == loss_dtype(rows.trained), "weights have the dtype of the loss");
  expect(!rows.weight_gradient.defined() || rows.weight_gradient.sizes() == rows.trained.weight.sizes(),
         "a gradient is shaped like its weight");
  expect(!rows.bias_gradient.defined() || rows.bias_gradient.sizes() == rows.trained.bias.sizes(),
         "a gradient is shaped like its bias");
  const int64_t count = rows.weights.size(0), vocabulary = rows.trained.weight.size(0);
  check_term(rows.trained, count, vocabulary);
  for (const LogitTerm& term : rows.frozen) check_term(term, count, vocabulary);
}

int64_t chunk_rows(const FusedRows& rows, int64_t buffers) {
  const int64_t row_bytes =
      buffers * rows.part.largest(rows.trained.weight.size(0)) *
      static_cast<int64_t>(torch::elementSize(loss_dtype(rows.trained)));  // all ranks take the same chunks
  return std::clamp<int64_t>(rows.memory_bytes / std::max<int64_t>(row_bytes, 1), 1, rows.weights.size(0));
}

Tensor add_term(const LogitTerm& term, int64_t first, double add_to, Tensor& logits) {
  const Tensor hidden = term.hidden.narrow(0, first, logits.size(0));
  if (term.final_softcap > 0) {
    const Capped capped = capped_logits(term, hidden, logits.scalar_type());
    add_to == 0 ? torch::mul_out(logits, capped.value, torch::scalar_tensor(term.coefficient, logits.options()))
                : logits.add_(capped.value, term.coefficient);
    return capped.slope;
  }
  if (term.packed && add_to == 0 && term.coefficient == 1.0) {
    model::packed_product_into(logits, hidden.contiguous(), *term.packed);
  } else if (has_products(logits, {hidden, term.weight})) {
    model::product_into(logits, hidden, term.weight.t(), term.coefficient, add_to != 0);
  } else if (hidden.scalar_type() == logits.scalar_type()) {
    torch::addmm_out(logits, logits, hidden, term.weight.t(), add_to, term.coefficient);
  } else {
    const Tensor own = logits_of(hidden, term.weight, logits.scalar_type());
    add_to == 0 ? logits.copy_(own).mul_(term.coefficient) : logits.add_(own, term.coefficient);
  }
  if (term.bias.defined()) logits.add_(term.bias.detach().to(logits.scalar_type()), term.coefficient);
  return {};
}

double add_terms(const std::vector<LogitTerm>& terms, int64_t first, Tensor& logits) {
  double add_to = 0;
  for (const LogitTerm& term : terms) {
    add_term(term, first, add_to, logits);
    add_to = 1;
  }
  return add_to;
}

void for_each_row(const Tensor& logits, const VocabularyPart& part, const std::function<void(int64_t, int64_t)>& work) {
  const int64_t rows = logits.size(0);
  if (!logits.device().is_cpu() || part.is_split() || has_row_loops(logits, part)) return work(0, rows);
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    const torch::NoGradGuard no_grad;
    const model::ForcedPath torch_path(model::OpPath::torch);
    for (int64_t row = begin; row < end; ++row) work(row, 1);
  });
}

void compare_rows(const FusedRows& rows, const LogitTerm* other, GatheredGradient& gradient,
                  const std::function<void(const PairedRows&)>& work) {
  const int64_t total = rows.weights.size(0), vocabulary = rows.trained.weight.size(0);
  if (other) check_term(*other, total, vocabulary);
  const torch::NoGradGuard closed_form;
  const int64_t step = chunk_rows(rows, rows.weights.device().is_cpu() ? 2 : 3);
  const Tensor buffer = rows.memory->of({2, step, vocabulary}, rows.weights.options().requires_grad(false));
  for (int64_t first = 0; first < total; first += step) {
    const int64_t count = std::min(step, total - first);
    Tensor theirs = buffer[0].narrow(0, 0, count), fused = buffer[1].narrow(0, 0, count);
    const double add_to = add_terms(rows.frozen, first, fused);
    if (other) {
      if (add_to != 0) theirs.copy_(fused);
      add_term(*other, first, add_to, theirs);
    }
    const Tensor slope = add_term(rows.trained, first, add_to, fused);
    if (!other) theirs.copy_(fused);
    for_each_row(fused, rows.part, [&](int64_t row, int64_t some) {
      work({first + row, some, theirs.narrow(0, row, some), fused.narrow(0, row, some)});
    });
    gradient.add(first, fused, slope);
  }
}

GatheredGradient::GatheredGradient(const FusedRows& rows) : rows_(rows) {
  if (!torch::GradMode::is_enabled()) return;
  const Tensor &hidden = rows.trained.hidden, &weight = rows.trained.weight;
  if (hidden.requires_grad()) hidden_ = torch::empty_like(hidden.detach());
  if (weight.requires_grad()) {
    weight_ = rows.weight_gradient.defined() ? rows.weight_gradient : torch::zeros_like(weight.detach());
  }
  if (rows.trained.bias.defined() && rows.trained.bias.requires_grad()) {
    expect(rows.bias_gradient.defined(), "a trained output bias has a gradient to add to");
    bias_ = rows.bias_gradient;
  }
}

void GatheredGradient::add(int64_t first, Tensor& logits, const Tensor& slope) {
  const LogitTerm& term = rows_.trained;
  if (slope.defined()) logits.mul_(slope);
  const Tensor upstream = logits.to(term.weight.scalar_type());
  const Tensor hidden = term.hidden.narrow(0, first, logits.size(0));
  const bool products = has_products(upstream, {hidden, term.weight});
  if (hidden_.defined()) {
    Tensor out = hidden_.narrow(0, first, logits.size(0));
    if (products)
      model::product_into(out, upstream, term.weight, term.coefficient);
    else
      torch::addmm_out(out, out, upstream, term.weight, 0, term.coefficient);
  }
  if (weight_.defined()) {
    if (products && weight_.is_contiguous())
      model::product_into(weight_, upstream.t(), hidden, term.coefficient, true);
    else
      weight_.addmm_(upstream.t(), hidden, 1, term.coefficient);
  }
  if (bias_.defined()) bias_.add_(upstream.sum(0), term.coefficient);
}

Tensor GatheredGradient::attach(const Tensor& value) const {
  const Tensor& weight = rows_.trained.weight;
  const Tensor seen = rows_.weight_gradient.defined() ? weight.detach() : weight;
  return KnownGradient::apply(rows_.trained.hidden, seen, value, Gathered{hidden_, weight_});
}

}  // namespace cmc::train
