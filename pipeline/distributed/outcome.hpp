#pragma once
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"

namespace cmc::distributed {

struct Failure {
  std::string key, name, message;
  int rank = 0;
  ExitCode code = ExitCode::internal;  // of the error that was thrown
};

// Codes of errors that another rank or a later task would meet as well: what is computed cannot be stored.
constexpr bool is_disk_failure(ExitCode code) {
  return code == ExitCode::io_error || code == ExitCode::cannot_create;
}

// What became of the plan. Tasks that were finished before the run are not counted.
struct Outcome {
  int done = 0;
  std::vector<Failure> failed;       // after all attempts
  std::vector<std::string> not_run;  // keys: inputs failed, or stopped before
  bool stopped = false;              // some tasks were left because the run was asked to stop: run again to go on
  std::vector<int> lost = {};        // ranks that do not answer; what they had was done elsewhere
};

}  // namespace cmc::distributed
