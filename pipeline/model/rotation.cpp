#include "pipeline/model/rotation.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "pipeline/model/rope.hpp"

namespace cmc::model {

Rotation::Rotation(const checkpoint::Rope& rope, RotatedPart layout, const DevicePlan& plan, torch::Device device) {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> parts;
  const std::span<const int32_t> positions = plan.host_positions;
  for (const Placement& span : plan.spans) {
    const auto own = positions.subspan(static_cast<size_t>(span.first), static_cast<size_t>(span.tokens));
    const int64_t length = *std::ranges::max_element(own) + 1;
    const torch::Tensor at = torch::tensor(std::vector<float>(own.begin(), own.end()));
    parts.push_back(turns(rope, at, inverse_frequencies(rope, layout.count, length)));
  }
  table_ = filled_up(torch::cat(parts, 1), layout.head_dim / 2).to(device);
  rows_ = torch::arange(table_.size(1), torch::TensorOptions().dtype(torch::kInt32).device(device));
}

const torch::Tensor& Rotation::packed(torch::Dtype dtype) const {
  const torch::NoGradGuard no_gradients;
  if (!packed_.defined()) packed_ = table_.index_select(1, rows_);
  if (packed_.scalar_type() != dtype) packed_ = packed_.to(dtype);
  return packed_;
}

}  // namespace cmc::model
