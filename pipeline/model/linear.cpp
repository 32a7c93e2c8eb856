#include "pipeline/model/linear.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "pipeline/model/linear_gradient.hpp"
#include "pipeline/model/matrix_product.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

// Fewer rows than a tile holds are not worth packing a weight for.
bool Linear::is_followed(const torch::Tensor& x, bool drops) const {
  if (path_of(x) != OpPath::cpu_gradients || x.dim() != 2 || x.size(0) < 8 || !takes_product(weight)) return false;
  const auto fits = [&](const Adapter& adapter) {
    return !adapter.a.defined() || (!(drops && adapter.dropout > 0.0) && takes_product(adapter.a));
  };
  return std::ranges::all_of(adapters, fits);
}

torch::Tensor Linear::operator()(const torch::Tensor& x, std::optional<uint64_t> dropout_seed) const {
  if (is_followed(x, dropout_seed.has_value())) return followed_linear(x, {weight, bias, weights, biases, adapters});
  const torch::Tensor result = multiply(x);
  if (adapters.empty()) return result;
  std::vector<torch::Tensor> added;
  for (size_t i = 0; i < adapters.size(); ++i) {
    added.push_back(adapters[i].a.defined()
                        ? adapters[i](x, dropout_seed)
                        : torch::zeros({x.size(0), weights[i].size(0)}, x.options().dtype(torch::kFloat32)));
  }
  return (result + (added.size() == 1 ? added.front() : torch::cat(added, -1))).to(result.scalar_type());
}

torch::Tensor Linear::wide(const torch::Tensor& x) const {
  const bool differentiable = torch::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
  if (x.is_cuda() && x.scalar_type() != torch::kFloat32 && adapters.empty() && !bias.defined() && !differentiable)
    return at::mm(x, weight.t(), torch::kFloat32);
  return (*this)(x).to(torch::kFloat32);
}

torch::Tensor Linear::multiply(const torch::Tensor& x) const {
  const bool is_trained = weights.front().requires_grad();
  // Weights in training change each step: packing them would cost more than it saves.
  if (path_of(x) == OpPath::cpu_kernels && !is_trained) return multiply_packed(x);
  if (!torch::GradMode::is_enabled() || !is_trained) return torch::linear(x, weight, bias);
  std::vector<torch::Tensor> results;
  for (size_t i = 0; i < weights.size(); ++i) {
    results.push_back(torch::linear(x, weights[i], biases.empty() ? torch::Tensor() : biases[i]));
  }
  return results.size() == 1 ? results.front() : torch::cat(results, -1);
}

torch::Tensor Linear::multiply_packed(const torch::Tensor& x) const {
  const int64_t version = static_cast<int64_t>(weight._version());
  if (packed_ == nullptr || packed_version_ != version) {
    const torch::Tensor rows = weight.contiguous();
    const float* from = rows.const_data_ptr<float>();
    const auto packed = std::make_shared<PackedMatrix>(from, rows.size(0), rows.size(1));
    at::parallel_for(0, packed->strips(), 16, [&](int64_t first, int64_t last) { packed->pack(from, first, last); });
    packed_ = packed;
    packed_version_ = version;
  }
  const torch::Tensor input = x.contiguous();
  const int64_t rows = input.size(0);
  torch::Tensor result = torch::empty({rows, packed_->outputs()}, input.options());
  const float* from = input.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  // A thread's share is worth starting it for: about 2 microseconds of products.
  const int64_t products = std::max<int64_t>(1, rows * packed_->inputs() * PackedMatrix::strip_width);
  at::parallel_for(0, packed_->strips(), std::max<int64_t>(1, 100'000 / products),
                   [&](int64_t first, int64_t last) { packed_->multiply(from, rows, to, first, last); });
  return bias.defined() ? result.add_(bias) : result;
}

}  // namespace cmc::model
