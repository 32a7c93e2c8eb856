#include "analysis/overview.hpp"

#include <algorithm>
#include <map>

#include "analysis/joined_text.hpp"

namespace cmc::analysis {
namespace {

// What answers are measured on; trainings and token maps have sets of their own.
bool is_evaluation(const std::string& set) {
  return !set.starts_with("training") && set != "token map";
}

// System and set → items, where an evaluation measured any.
struct Evaluated {
  std::vector<System> systems;
  std::map<std::string, int64_t> items;  // by set, of the system that has most
};

Evaluated evaluated(const Record& record) {
  Evaluated found;
  for (const System& system : record.measurements().systems())
    for (const auto& set : record.measurements().sets()) {
      const int64_t items = is_evaluation(set) ? record.items(system.without_seed(), set) : 0;
      if (items == 0) continue;
      found.items[set] = std::max(found.items[set], items);
      if (found.systems.empty() || found.systems.back() != system) found.systems.push_back(system);
    }
  return found;
}

// Each once, in the order of the systems.
std::string named(const Evaluated& evaluated, const std::string System::*name) {
  std::vector<std::string> names;
  for (const System& system : evaluated.systems)
    if (!(system.*name).empty() && std::ranges::count(names, system.*name) == 0) names.push_back(system.*name);
  return joined(names, ", ");
}

std::string methods(const Evaluated& evaluated) {
  std::vector<std::string> names;
  for (const auto& traits : records::method_traits)
    if (std::ranges::any_of(evaluated.systems, [&](const System& system) { return system.method == traits.method; }))
      names.emplace_back(traits.name);
  return joined(names, ", ");
}

std::string items_of_sets(const Evaluated& evaluated) {
  std::vector<std::string> texts;
  for (const auto& [set, items] : evaluated.items) texts.push_back(set + " " + std::to_string(items));
  return joined(texts, ", ");
}

std::string templates(const Record& record) {
  const std::string& experiment = record.results().header.experiment;
  const std::string first = experiment_value(experiment, "models.template");
  const std::string unlearn = experiment_value(experiment, "models.unlearn_template");
  return first + (unlearn.empty() || unlearn == first ? "" : "; for unlearning " + unlearn);
}

std::string seeds(const Record& record) {
  std::vector<std::string> texts;
  for (const int64_t seed : record.seeds()) texts.push_back(std::to_string(seed));
  return joined(texts, ", ");
}

std::string tasks(const Record& record) {
  if (record.plan().empty()) return "";
  const auto done = std::ranges::count_if(record.plan(), [](const records::PlanRow& row) { return row.done; });
  return std::to_string(done) + " of " + std::to_string(record.plan().size()) + " done";
}

}  // namespace

Overview overview_of(const Record& record) {
  const Evaluated found = evaluated(record);
  Overview overview;
  const auto add = [&](const char* label, const std::string& text) {
    if (!text.empty()) overview.emplace_back(label, text);
  };
  add("Trained beside", templates(record));
  add("Evaluated", named(found, &System::target));
  add("Compared", methods(found));
  add("Deltas", named(found, &System::delta));
  add("Items", items_of_sets(found));
  add("Seeds", seeds(record));
  add("Tasks", tasks(record));
  return overview;
}

}  // namespace cmc::analysis
