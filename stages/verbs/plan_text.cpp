#include "stages/verbs/plan_text.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>

#include "stages/experiment/variables.hpp"
#include "stages/running/progress_line.hpp"

namespace cmc::stages {
namespace {

std::string with_unit(int64_t bytes) {
  char text[32];
  const auto number = static_cast<double>(bytes);
  if (number >= 1e9)
    std::snprintf(text, sizeof text, "%.1f GB", number / 1e9);
  else if (number >= 1e6)
    std::snprintf(text, sizeof text, "%.1f MB", number / 1e6);
  else
    std::snprintf(text, sizeof text, "%.0f kB", number / 1e3);
  return text;
}

struct Sum {
  int tasks = 0;
  double seconds = 0;
  int64_t bytes = 0;

  void add(const distributed::Task& task) {
    ++tasks;
    seconds += task.seconds;
    bytes = std::max(bytes, task.bytes);
  }
};

// Whether jobs/fetch.sh puts it there: below the folder that shipped experiments name.
bool is_below(const std::string& path, const char* variable) {
  const auto relative = std::filesystem::path(path).lexically_normal().lexically_relative(
      std::filesystem::path(shipped_folder(variable)).lexically_normal());
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::string task_lines(const ExperimentPlan& plan) {
  std::ostringstream text;
  for (const auto& task : plan.chosen.tasks)
    text << (plan.provisional.contains(task.key) ? "~" : "") << task.key.substr(0, 12) << "  "
         << clock_time(task.seconds) << "  " << task.name << "\n";
  return text.str();
}

std::string sums_by_stage(const distributed::Plan& plan) {
  std::map<std::string, Sum> by_stage;
  Sum all;
  for (const auto& task : plan.tasks) by_stage[task.stage].add(task), all.add(task);
  std::ostringstream text;
  const auto line = [&](const std::string& name, const Sum& sum) {
    text << name << ": " << sum.tasks << " tasks, about " << clock_time(sum.seconds) << " of work, at most "
         << with_unit(sum.bytes) << " a task\n";
  };
  for (const auto& [stage, sum] : by_stage) line(stage, sum);
  line("all", all);
  return text.str();
}

std::string text_of_absent(const ExperimentPlan& plan, const std::string& experiment) {
  if (plan.absent.empty()) return "";
  using Kind = AbsentInput::Kind;
  std::ostringstream text;
  text << "\nnot here yet, assumed as published; keys that rest on it are provisional (~):\n";
  size_t widest = 0;
  for (const auto& [path, input] : plan.absent) widest = std::max(widest, path.size());
  std::map<Kind, int64_t> bytes;
  std::map<Kind, bool> fetched;
  for (const auto& [path, input] : plan.absent) {
    text << "  " << path << std::string(widest - path.size() + 2, ' ')
         << (input.bytes > 0 ? with_unit(input.bytes) : "–") << ", " << input.assumed << "\n";
    bytes[input.kind] += input.bytes;
    fetched[input.kind] |= is_below(path, input.kind == Kind::model ? "CMC_MODELS" : "CMC_DATA");
  }
  for (const auto& [kind, sum] : bytes)
    if (fetched[kind])
      text << "to fetch, about " << with_unit(sum) << ": jobs/fetch.sh " << (kind == Kind::model ? "models " : "data ")
           << experiment << "\n";
  return text.str();
}

}  // namespace cmc::stages
