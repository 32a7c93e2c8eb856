#include "stages/running/run_log.hpp"

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/provenance.hpp"

namespace cmc::stages {
namespace {

namespace fs = std::filesystem;

constexpr char progress_file[] = "progress.json", lock_file[] = ".lock";

std::string name_of(const Shard& shard, int number) {
  std::string name = "run";
  if (shard.count > 1) name = "shard-" + std::to_string(shard.index) + "-of-" + std::to_string(shard.count);
  return number == 1 ? name : name + "-" + std::to_string(number);
}

// A log is not worth its run: where the lock cannot be written, the run goes on without.
std::optional<FileLock> lock_unused_name(const fs::path& logs, const Shard& shard, int& number) {
  try {
    for (;; ++number)
      if (auto lock = FileLock::take(logs / name_of(shard, number) / lock_file)) return lock;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

RunLog RunLog::open(const fs::path& output, const Shard& shard, const distributed::Communicator& world) {
  std::optional<FileLock> alive;
  int number = 1;
  if (world.rank() == 0) alive = lock_unused_name(output / "logs", shard, number);
  world.broadcast(std::as_writable_bytes(std::span(&number, 1)), 0);
  return {output / "logs" / name_of(shard, number), std::move(alive)};
}

fs::path RunLog::file_of(int rank) const {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%03d.log", rank);
  return folder_ / name;
}

void RunLog::publish(const RunState& state) const {
  try {
    publish_file(folder_ / progress_file, records::to_json(state).dump() + "\n");
    told_ = true;
  } catch (const Error& error) {
    if (std::exchange(told_, false)) log_warning(error.what());
  }
}

void RunLog::write_progress(const distributed::Progress& p) const {
  publish({"running", utc_now(), p.done, p.failed, p.total, p.current, p.work_done, p.work_total, {}});
}

void RunLog::write_outcome(const distributed::Outcome& outcome) const {
  RunState state;
  state.state = outcome.stopped ? "stopped" : outcome.failed.empty() ? "finished" : "failed";
  state.date = utc_now();
  for (const auto& f : outcome.failed) state.failures.push_back({f.key, f.name, f.message, f.rank});
  publish(state);
}

std::vector<RunOverFolder> runs_over(const fs::path& output) {
  std::vector<std::pair<fs::file_time_type, RunOverFolder>> found;
  const auto add = [&](const std::string& name, const fs::path& folder) {
    const auto file = folder / progress_file;
    if (!fs::exists(file)) return;
    const auto content = read_json(file);
    if (!content.is_object())
      throw BadData({file.string(), "is not a JSON object", "delete it; the next run writes it"});
    found.push_back(
        {fs::last_write_time(file),
         {name, FileLock::is_held(folder / lock_file), records::from_json<RunState>(content, file.string())}});
  };
  add("earlier", output);
  if (fs::exists(output / "logs"))
    for (const auto& folder : fs::directory_iterator(output / "logs"))
      if (folder.is_directory()) add(folder.path().filename().string(), folder.path());
  std::ranges::stable_sort(found, std::greater<>(), [](const auto& run) { return run.first; });
  std::vector<RunOverFolder> runs;
  for (auto& [time, run] : found) runs.push_back(std::move(run));
  return runs;
}

}  // namespace cmc::stages
