#include "pipeline/model/rotation_table.hpp"

#include <algorithm>

#include "pipeline/model/rope.hpp"

namespace cmc::model {

RotationTable::RotationTable(const checkpoint::Rope& rope, int64_t head_dim, torch::Device device)
    : rope_(rope), head_dim_(head_dim), device_(device), tables_{torch::Tensor()} {}

void RotationTable::reserve(int64_t positions) {
  if (rope_.scaling.kind == checkpoint::RopeScaling::Kind::dynamic_ntk) return;
  const int64_t held = table().defined() ? table().size(1) : 0;
  if (positions <= held) return;
  const c10::InferenceMode ordinary(false);  // read in any mode
  const torch::NoGradGuard no_gradients;
  positions = std::max({positions, 2 * held, int64_t{512}});
  const torch::Tensor at = torch::arange(positions, torch::kFloat32);
  tables_.push_back(turns(rope_, at, inverse_frequencies(rope_, head_dim_, 0)).to(device_));
}

}  // namespace cmc::model
