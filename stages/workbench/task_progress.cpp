#include "stages/workbench/task_progress.hpp"

#include <chrono>

#include "pipeline/core/log.hpp"

namespace cmc::stages {

TaskProgress log_progress(const std::string& name) {
  using Clock = std::chrono::steady_clock;
  return [name, last = Clock::now()](int64_t done, int64_t total, const std::string& detail) mutable {
    if (Clock::now() - last < std::chrono::seconds(10)) return;
    last = Clock::now();
    log_info(name, ": ", done, "/", total, detail);
  };
}

}  // namespace cmc::stages
