#pragma once
#include <filesystem>

#include "pipeline/dist/cost_model.hpp"

namespace cmc::stages {

// Fitted to the finished units of a run's folder (its plan.json holds their estimates); every factor is 1 where there are
// none. Reads some dozens of units of each stage. Damaged ones are left out: `cmc verify` names them.
dist::CostModel measured_costs(const std::filesystem::path& folder);

}  // namespace cmc::stages
