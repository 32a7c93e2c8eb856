#include "pipeline/model/recompute.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/model/kept_for_backward.hpp"

namespace cmc::model {

namespace {

using Part = std::function<torch::Tensor(const torch::Tensor&)>;

// Both runs have gradients on and an input that requires them, so that they take the same kernels.
std::pair<torch::Tensor, torch::Tensor> run(const Part& f, const torch::Tensor& x) {
  const torch::AutoGradMode gradients(true);
  const torch::Tensor input = x.detach().requires_grad_(true);
  return {input, f(input)};
}

class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x, const Part& f) {
    context->save_for_backward({x});
    keep_for_backward(context, f);
    return run(f, x).second.detach();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto [input, output] = run(kept_for_backward<Part>(context), context->get_saved_variables().front());
    torch::autograd::backward({output}, {upstream.front()});
    return {input.grad(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor recomputed(std::function<torch::Tensor(const torch::Tensor&)> f, const torch::Tensor& x) {
  expect(x.requires_grad(), "what is computed again has an input that requires gradients");
  return Recomputed::apply(x, f);
}

}  // namespace cmc::model
