#include "pipeline/model/linear.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "pipeline/model/linear_gradient.hpp"
#include "pipeline/model/matrix_product.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

bool Linear::is_followed(const torch::Tensor& x, bool drops) const {
  if (path_of(x) != OpPath::cpu_gradients || x.dim() != 2 || !takes_product(weight)) return false;
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

torch::Tensor Linear::wide(const torch::Tensor& x, KeptMemory* memory) const {
  const bool differentiable = torch::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
  if (x.is_cuda() && x.scalar_type() != torch::kFloat32 && adapters.empty() && !bias.defined() && !differentiable)
    return at::mm(x, weight.t(), torch::kFloat32);
  if (adapters.empty() && path_of(x) == OpPath::cpu_kernels) return multiply(x, memory).to(torch::kFloat32);
  return (*this)(x).to(torch::kFloat32);
}

torch::Tensor Linear::multiply(const torch::Tensor& x, KeptMemory* memory) const {
  if (const auto matrix = packed(x)) {
    torch::Tensor result = numbers_in(memory, {x.size(0), matrix->outputs()}, x.options());
    packed_product_into(result, x.contiguous(), *matrix);
    return bias.defined() ? result.add_(bias) : result;
  }
  if (!torch::GradMode::is_enabled() || !weights.front().requires_grad()) return torch::linear(x, weight, bias);
  std::vector<torch::Tensor> results;
  for (size_t i = 0; i < weights.size(); ++i) {
    results.push_back(torch::linear(x, weights[i], biases.empty() ? torch::Tensor() : biases[i]));
  }
  return results.size() == 1 ? results.front() : torch::cat(results, -1);
}

std::shared_ptr<const cpu::PackedMatrix> Linear::packed(const torch::Tensor& x) const {
  if (path_of(x) != OpPath::cpu_kernels || weights.front().requires_grad()) return nullptr;
  const int64_t version = static_cast<int64_t>(weight._version());
  if (packed_ == nullptr || packed_version_ != version) {
    const torch::Tensor rows = weight.contiguous();
    const float* from = rows.const_data_ptr<float>();
    const auto packed = std::make_shared<cpu::PackedMatrix>(from, rows.size(0), rows.size(1));
    at::parallel_for(0, packed->strips(), 16, [&](int64_t first, int64_t last) { packed->pack(from, first, last); });
    packed_ = packed;
    packed_version_ = version;
  }
  return packed_;
}

}  // namespace cmc::model
