#include "pipeline/model/position_bias.hpp"

#include <algorithm>

namespace cmc::model {

void PositionBias::reserve(int64_t positions) {
  const int64_t held = tables_.empty() ? 0 : table().size(1);
  if (positions <= held) return;
  const c10::InferenceMode ordinary(false);  // read in any mode
  const torch::NoGradGuard no_gradients;
  const auto type = alibi_.in_bfloat16 ? torch::kBFloat16 : torch::kFloat32;
  const int64_t room = std::max({positions, 2 * held, int64_t{512}});
  const torch::Tensor slopes = torch::tensor(alibi_.slopes, torch::kFloat64).to(torch::kFloat32).to(type).unsqueeze(1);
  const torch::Tensor products = slopes * torch::arange(room, torch::kInt64);
  tables_.push_back((products.to(torch::kFloat32) * alibi_.scale).contiguous().to(device_));
}

}  // namespace cmc::model
