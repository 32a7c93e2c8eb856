#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace cmc::stages {

// Of one long task, in its rank's log at most every ten seconds: "instruct gemma + tiny: 12/48", with what `detail`
// says.
using TaskProgress = std::function<void(int64_t done, int64_t total, const std::string& detail)>;
TaskProgress log_progress(const std::string& name);

}  // namespace cmc::stages
