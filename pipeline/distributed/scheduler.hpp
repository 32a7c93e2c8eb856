#pragma once
#include <string>
#include <vector>

#include "pipeline/distributed/outcome.hpp"
#include "pipeline/distributed/scheduler_settings.hpp"

namespace cmc::distributed {

// Collective. Runs every task whose key is not in `finished` (rank 0's counts), by the rules of Dispatcher, on the
// ranks of `world`. The same outcome on every rank, but for ranks that fall silent at the very end: where
// rank 0's outcome has lost ranks, the caller ends the job by Session::abort, since MPI_Finalize would wait for them.
// Throws Internal when the plan is broken or differs between ranks, BadExperiment when the nodes have
// no room for a group.
Outcome run_plan(const Plan& plan, const std::vector<std::string>& finished, const Communicator& world,
                 const RunTask& run, const SchedulerSettings& settings);

}  // namespace cmc::distributed
