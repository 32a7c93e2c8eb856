#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/fields.hpp"

namespace cmc::stages {

struct FailedTask {
  std::string key, name, message;
  std::optional<int64_t> rank;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    using enum records::Presence;
    visit("key", self.key, optional);
    visit("name", self.name, optional);
    visit("message", self.message, optional);
    visit("rank", self.rank);
  }
};

// How a run is getting on, or how it ended: logs/<name>/progress.json.
struct RunState {
  std::string state = "unknown";  // "running", "finished", "stopped", "failed"
  std::string date;               // when it said so
  // While it runs; tasks that were finished before do not count.
  std::optional<int64_t> done, failed, total;
  std::vector<std::string> running;             // names of tasks, by rank; "" idle
  std::optional<double> work_done, work_total;  // estimated seconds on one rank
  std::vector<FailedTask> failures;             // once it has ended
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    using enum records::Presence;
    visit("state", self.state, optional);
    visit("date", self.date, optional);
    visit("done", self.done);
    visit("failed", self.failed);
    visit("total", self.total);
    visit("running", self.running, optional);
    visit("work_done", self.work_done);
    visit("work_total", self.work_total);
    visit("failures", self.failures, optional);
  }
};

struct RunOverFolder {
  std::string name;
  bool live = false;  // its process is seen to hold its lock
  RunState last;      // what it said last
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("live", self.live);
    RunState::fields(self.last, visit);
  }
};

}  // namespace cmc::stages
