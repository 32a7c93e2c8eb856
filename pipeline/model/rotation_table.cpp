#include "pipeline/model/rotation_table.hpp"

#include <algorithm>

#include "pipeline/model/rope.hpp"

namespace cmc::model {

RotatedPart rotated_part(const checkpoint::ModelConfig& config) {
  return {config.head_dim, config.rotary.count};
}

bool scales_with_length(const checkpoint::Rope& rope) {
  using Kind = checkpoint::RopeScaling::Kind;
  return rope.scaling.kind == Kind::dynamic_ntk || rope.scaling.kind == Kind::longrope;
}

torch::Tensor filled_up(const torch::Tensor& turns, int64_t half) {
  const int64_t rest = half - turns.size(2);
  if (rest == 0) return turns;
  const torch::Tensor nothing = torch::zeros({2, turns.size(1), rest}, turns.options());
  nothing.select(0, 0).fill_(1.0);
  return torch::cat({turns, nothing}, 2);
}

RotationTable::RotationTable(const checkpoint::Rope& rope, RotatedPart layout, torch::Device device)
    : rope_(rope), layout_(layout), device_(device), tables_{torch::Tensor()} {}

void RotationTable::reserve(int64_t positions) {
  if (scales_with_length(rope_)) return;
  const int64_t held = table().defined() ? table().size(1) : 0;
  if (positions <= held) return;
  const c10::InferenceMode ordinary(false);  // read in any mode
  const torch::NoGradGuard no_gradients;
  positions = std::max({positions, 2 * held, int64_t{512}});
  const torch::Tensor at = torch::arange(positions, torch::kFloat32);
  const torch::Tensor own = turns(rope_, at, inverse_frequencies(rope_, layout_.count, 0));
  tables_.push_back(filled_up(own, layout_.head_dim / 2).to(device_));
}

}  // namespace cmc::model
