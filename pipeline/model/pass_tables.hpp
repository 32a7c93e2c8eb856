#pragma once
#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/rotation_table.hpp"

namespace cmc::model {

// What a model keeps between its passes: the rotations of its layers, and the way of plans to its device.
struct PassTables {
  PassTables(const checkpoint::ModelConfig& config, torch::Device device)
      : turn(config.rope, config.head_dim, device),
        local_turn(config.local_rope, config.head_dim, device),
        plans(device, 0) {}
  RotationTable turn, local_turn;  // the latter of sliding layers
  PlanBuffers plans;
};

}  // namespace cmc::model
