#pragma once
#include <filesystem>
#include <optional>
#include <vector>

#include "pipeline/core/file_lock.hpp"
#include "pipeline/distributed/communicator.hpp"
#include "pipeline/distributed/scheduler.hpp"
#include "stages/running/run_state.hpp"

namespace cmc::stages {

struct Shard {
  int index = 0, count = 1;
};

// What one of the runs over an output folder tells of itself, in logs/<name>/: rank-NNN.log of each rank and
// progress.json. The name is "run", of a shard "shard-0-of-8"; of a run beside a living one of that name "run-2",
// "run-3", … A run that goes on where another one of its name ended appends to its logs.
class RunLog {
 public:
  // Collective over the run's ranks.
  static RunLog open(const std::filesystem::path& output, const Shard& shard, const distributed::Communicator& world);

  std::filesystem::path file_of(int rank) const;
  // On rank 0: how the run is getting on, for `status`. What only tells that must not end the run: where it cannot be
  // written, the first time is warned of.
  void write_progress(const distributed::Progress& progress) const;
  void write_outcome(const distributed::Outcome& outcome) const;

 private:
  RunLog(std::filesystem::path folder, std::optional<FileLock> alive)
      : folder_(std::move(folder)), alive_(std::move(alive)) {}

  void publish(const RunState& state) const;

  std::filesystem::path folder_;
  std::optional<FileLock> alive_;  // rank 0's, as long as the run lives
  mutable bool told_ = true;       // whether it could be written last time
};

// Every run over the folder, the latest first. A folder of an earlier version has one, in progress.json, named
// "earlier". Throws BadData naming a file that cannot be read.
std::vector<RunOverFolder> runs_over(const std::filesystem::path& output);

}  // namespace cmc::stages
