#pragma once
#include <algorithm>
#include <optional>

#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/position_bias.hpp"
#include "pipeline/model/rotation_table.hpp"

namespace cmc::model {

// What a model keeps between its passes: the rotations of its layers, biases of scores, and the way of plans to its
// device.
struct PassTables {
  PassTables(const checkpoint::ModelConfig& config, torch::Device device)
      : turn(config.rope, rotated_part(config), device),
        local_turn(config.local_rope, rotated_part(config), device),
        still({}, {config.head_dim, 0}, device),
        plans(device, 0),
        has_local(config.window > 0),
        has_still(!std::ranges::all_of(config.kinds, &checkpoint::LayerKind::rotates)) {
    if (!config.alibi.slopes.empty()) bias.emplace(config.alibi, device);
  }
  void reserve(int64_t positions) {
    turn.reserve(positions);
    if (has_local) local_turn.reserve(positions);
    if (has_still) still.reserve(positions);
    if (bias) bias->reserve(positions);
  }
  RotationTable turn, local_turn;  // the latter of sliding layers
  RotationTable still;             // of layers that do not turn
  std::optional<PositionBias> bias;
  PlanBuffers plans;
  bool has_local, has_still;
};

}  // namespace cmc::model
