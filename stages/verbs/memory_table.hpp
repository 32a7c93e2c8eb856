#pragma once
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "stages/planning/device_use.hpp"

// What cmc plan says of the models' memory.
namespace cmc::stages {

// A line a model: its weights, what its largest task takes of the device of a rank as model.NAME.tensor_parallel is
// set, and how many devices it needs at least; a dash where that is not known or there is no such task.
std::string memory_table(const std::vector<ModelNeed>& needs, int64_t device_bytes);
Json memory_json(const std::vector<ModelNeed>& needs);

}  // namespace cmc::stages
