#pragma once
#include "pipeline/distributed/scheduler.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/distributed/stop_request.hpp"
#include "stages/experiment/experiment.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/running/run_log.hpp"

namespace cmc::stages {

struct RunRequest {
  const Experiment& experiment;
  std::vector<std::string> only;  // stages; empty: all
  OutputFolder output;
  Shard shard = {};            // of the residencies: a job array's part
  const RunLog& log;           // where it tells what it does
  double stall_seconds = 600;  // a rank silent for longer loses its work to others
};

struct RunReport {
  distributed::Outcome outcome;
  int already_done = 0, total = 0;
};

// Collective over the session's ranks: plans on rank 0, runs what is missing, merges results.h5.
RunReport run_experiment(const RunRequest& request, const distributed::Session& session,
                         const distributed::StopRequest& stop);

}  // namespace cmc::stages
