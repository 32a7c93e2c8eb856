#pragma once
#include <filesystem>

#include "pipeline/distributed/cost_model.hpp"
#include "pipeline/store/unit_store.hpp"

namespace cmc::stages {

// Fitted to the units of `finished` (sorted keys) that the plan has estimates of; every factor is 1 where there are
// none. Reads some dozens of units of each stage. Damaged ones are left out: `cmc verify` names them.
distributed::CostModel measured_costs(const distributed::Plan& plan, const std::vector<std::string>& finished,
                                      const store::UnitStore& units);

// The same for a run's folder and its plan.json; where there is none, every factor is 1.
distributed::CostModel measured_costs(const std::filesystem::path& folder);

// The plan with what its tasks took in the run of `folder`: of those that it finished their own time, of the others by
// `fit`, that run's measured_costs.
distributed::Plan with_costs_of(const std::filesystem::path& folder, const distributed::CostModel& fit,
                                const distributed::Plan& plan);

}  // namespace cmc::stages
