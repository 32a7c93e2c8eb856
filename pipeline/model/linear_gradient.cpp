#include "pipeline/model/linear_gradient.hpp"

#include "pipeline/model/chunked_rows.hpp"
#include "pipeline/model/kept_for_backward.hpp"
#include "pipeline/model/matrix_product.hpp"

namespace cmc::model {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Calls work(first output, layer) for each.
template <typename Work>
void for_each_layer(const FollowedLinear& layers, const Work& work) {
  int64_t first = 0;
  for (size_t i = 0; i < layers.weights.size(); ++i) {
    work(first, i);
    first += layers.weights[i].size(0);
  }
}

bool is_adapted(const FollowedLinear& layers, size_t layer) {
  return !layers.adapters.empty() && layers.adapters[layer].a.defined();
}

// In the order of their gradients.
variable_list parameters_of(const FollowedLinear& layers) {
  variable_list all = layers.weights;
  all.insert(all.end(), layers.biases.begin(), layers.biases.end());
  for (size_t i = 0; i < layers.adapters.size(); ++i) {
    if (!is_adapted(layers, i)) continue;
    all.push_back(layers.adapters[i].a);
    all.push_back(layers.adapters[i].b);
  }
  return all;
}

// [outputs]; of rows that may lie apart.
torch::Tensor summed_rows(const torch::Tensor& rows) {
  const int64_t width = rows.size(1), stride = rows.stride(0);
  const float* from = rows.const_data_ptr<float>();
  return sum_over_rows(rows.size(0), width, rows.options(), [&](int64_t first, int64_t last, float* own) {
    for (int64_t row = first; row < last; ++row) cpu::add_row(own, from + row * stride, 1.0f, width);
  });
}

class LinearProducts : public torch::autograd::Function<LinearProducts> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const at::TensorList& /*parameters*/,
                               const FollowedLinear& layers) {
    const torch::Tensor input = x.contiguous();
    torch::Tensor result = torch::empty({x.size(0), layers.weight.size(0)}, input.options());
    product_into(result, input, layers.weight.t());
    if (layers.bias.defined()) result.add_(layers.bias);
    variable_list saved = {input};
    for_each_layer(layers, [&](int64_t first, size_t i) {
      if (!is_adapted(layers, i)) return;
      const Adapter& adapter = layers.adapters[i];
      saved.push_back(torch::empty({x.size(0), adapter.a.size(0)}, input.options()));
      product_into(saved.back(), input, adapter.a.t());
      product_into(result.narrow(1, first, adapter.b.size(0)), saved.back(), adapter.b.t(), adapter.scale, true);
    });
    context->save_for_backward(saved);
    keep_for_backward(context, layers);
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list upstream) {
    const auto layers = kept_for_backward<FollowedLinear>(context);
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor above = upstream[0].contiguous(), &input = saved[0];
    torch::Tensor by_input;
    if (context->needs_input_grad(0)) {
      by_input = torch::empty_like(input);
      product_into(by_input, above, layers.weight);
    }
    variable_list gradients(1), of_weights, of_biases, of_adapters;
    size_t reduced = 1;
    for_each_layer(layers, [&](int64_t first, size_t i) {
      const torch::Tensor own = above.narrow(1, first, layers.weights[i].size(0));
      of_weights.push_back(layers.is_trained() ? gradient_product(layers.weights[i], own.t(), input) : torch::Tensor());
      if (!layers.biases.empty())
        of_biases.push_back(layers.biases[i].requires_grad() ? summed_rows(own) : torch::Tensor());
      if (!is_adapted(layers, i)) return;
      const Adapter& adapter = layers.adapters[i];
      const torch::Tensor by_reduced = torch::empty_like(saved[reduced]);
      product_into(by_reduced, own, adapter.b, adapter.scale);
      of_adapters.push_back(gradient_product(adapter.a, by_reduced.t(), input));
      of_adapters.push_back(gradient_product(adapter.b, own.t(), saved[reduced++], adapter.scale));
      if (by_input.defined()) product_into(by_input, by_reduced, adapter.a, 1.0, true);
    });
    gradients[0] = by_input;
    for (const variable_list* each : {&of_weights, &of_biases, &of_adapters})
      gradients.insert(gradients.end(), each->begin(), each->end());
    gradients.emplace_back();
    return gradients;
  }
};

}  // namespace

torch::Tensor followed_linear(const torch::Tensor& x, const FollowedLinear& layers) {
  return LinearProducts::apply(x, at::TensorList(parameters_of(layers)), layers);
}

}  // namespace cmc::model
