#pragma once
#include <set>
#include <string>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::checkpoint {

// What a model calls the linear layers of its blocks that adapters can stand at (peft's target_modules): the last parts
// of their names, "q_proj". Without output layer, routers and single experts.
std::set<std::string> linear_layers(const ModelConfig& config);

}  // namespace cmc::checkpoint
