#include "pipeline/model/norm_gradient.hpp"

#include <cstring>

#include "pipeline/cpu/row_gradients.hpp"
#include "pipeline/model/chunked_rows.hpp"
#include "pipeline/model/kept_for_backward.hpp"
#include "pipeline/model/norm_weights.hpp"

namespace cmc::model {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct SummedNorm {
  Norm norm;
  bool adds;
};

std::optional<torch::Tensor> where_defined(const torch::Tensor& x) {
  return x.defined() ? std::optional(x) : std::nullopt;
}

class NormOfSum : public torch::autograd::Function<NormOfSum> {
 public:
  // → the norm, and where something is added the sum.
  static variable_list forward(AutogradContext* context, const torch::Tensor& x,
                               const std::optional<torch::Tensor>& added,
                               const std::optional<torch::Tensor>& /*weight*/,
                               const std::optional<torch::Tensor>& /*bias*/, const SummedNorm& kept) {
    context->set_materialize_grads(false);
    const torch::Tensor input = x.contiguous(), more = added ? added->contiguous() : torch::Tensor();
    torch::Tensor sum = added ? torch::empty_like(input) : input, result = torch::empty_like(input);
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const cpu::RowNorm row_norm = row_norm_of(kept.norm);
    const float *from = input.const_data_ptr<float>(), *plus = added ? more.const_data_ptr<float>() : nullptr;
    float *through = added ? sum.data_ptr<float>() : nullptr, *to = result.data_ptr<float>();
    at::parallel_for(0, rows, std::max<int64_t>(1, 32768 / width), [&](int64_t first, int64_t last) {
      for (int64_t at = first * width; at < last * width; at += width) {
        if (through != nullptr) {
          std::memcpy(through + at, from + at, static_cast<size_t>(width) * sizeof(float));
          cpu::add_row(through + at, plus + at, 1.0f, width);
        }
        cpu::norm_row(through != nullptr ? through + at : from + at, row_norm, width, to + at);
      }
    });
    context->save_for_backward({sum});
    keep_for_backward(context, kept);
    return added ? variable_list{result, sum} : variable_list{result};
  }

  static variable_list backward(AutogradContext* context, variable_list upstream) {
    const auto kept = kept_for_backward<SummedNorm>(context);
    const torch::Tensor sum = context->get_saved_variables()[0];
    const torch::Tensor carried = kept.adds && upstream[1].defined() ? upstream[1].contiguous() : torch::Tensor();
    if (!upstream[0].defined()) return gradients(kept, carried, {});
    const torch::Tensor above = upstream[0].contiguous(), slope = torch::empty_like(sum);
    const int64_t width = sum.size(-1), rows = sum.numel() / width;
    const cpu::RowNorm row_norm = row_norm_of(kept.norm);
    const auto wanted = [](const torch::Tensor& x) { return x.defined() && x.requires_grad(); };
    const bool weight = wanted(kept.norm.weight), bias = wanted(kept.norm.bias);
    const float *from = sum.const_data_ptr<float>(), *by_result = above.const_data_ptr<float>();
    const float* by_sum = carried.defined() ? carried.const_data_ptr<float>() : nullptr;
    float* to = slope.data_ptr<float>();
    const torch::Tensor sums =
        sum_over_rows(rows, 2 * width, sum.options(), [&](int64_t first, int64_t last, float* own) {
          for (int64_t at = first * width; at < last * width; at += width)
            cpu::norm_row_back(from + at, row_norm, by_result + at, width,
                               {by_sum != nullptr ? by_sum + at : nullptr, to + at, weight ? own : nullptr,
                                bias ? own + width : nullptr});
        });
    return gradients(
        kept, slope,
        {weight ? sums.narrow(0, 0, width) : torch::Tensor(), bias ? sums.narrow(0, width, width) : torch::Tensor()});
  }

 private:
  static variable_list gradients(const SummedNorm& kept, const torch::Tensor& slope,
                                 const std::pair<torch::Tensor, torch::Tensor>& parameters) {
    return {slope, kept.adds ? slope : torch::Tensor(), parameters.first, parameters.second, torch::Tensor()};
  }
};

}  // namespace

bool follows_norm(const Norm& norm) {
  return norm && !(norm.weight.defined() && norm.weight.dim() > 1);
}

torch::Tensor followed_norm(torch::Tensor& x, const torch::Tensor& added, const Norm& norm) {
  const auto results = NormOfSum::apply(x, where_defined(added), where_defined(norm.weight), where_defined(norm.bias),
                                        SummedNorm{norm, added.defined()});
  if (added.defined()) x = results[1];
  return results[0];
}

}  // namespace cmc::model
