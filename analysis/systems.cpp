#include "analysis/systems.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <sstream>
#include <tuple>

#include "analysis/unit_values.hpp"
#include "pipeline/metrics/strength.hpp"

namespace cmc::analysis {
namespace {

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// "section.key" → value.
std::map<std::string, std::string> read_ini(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  std::string line, section;
  while (std::getline(lines, line)) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2) + ".";
      continue;
    }
    const size_t equals = line.find('=');
    if (equals != std::string::npos)
      values[section + trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return values;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  std::istringstream parts(list);
  for (std::string item; std::getline(parts, item, ',');)
    if (!trimmed(item).empty()) items.push_back(trimmed(item));
  return items;
}

// The order of the paper's tables; methods that it does not know come last.
size_t rank_of(const std::string& method) {
  constexpr const char* order[] = {"vanilla", "retain_only", "lora", "full", "proxy_tuning", "delta_unlearning", "cmc"};
  return static_cast<size_t>(std::ranges::find(order, method) - std::begin(order));
}

bool adds_a_delta(const std::string& method) {
  return method == "cmc" || method == "proxy_tuning" || method == "delta_unlearning";
}

// How the delta is added by `task`, where it is not as usual: "raw_sum", "exact_only", "raw_sum, one_to_many of the top
// 100", "unmapped: minimum".
std::string shown_mode(const Json& task) {
  std::string shown;
  const auto add = [&](const std::string& variant) { shown += (shown.empty() ? "" : ", ") + variant; };
  const std::string mode = text_of(task, "mode"), map = text_of(task, "map_method"),
                    unmapped = text_of(task, "unmapped");
  const double top = number_of(task, "top");
  if (!mode.empty() && mode != "base_normalized") add(mode);
  if (!map.empty() && map != "pm_mined") add(map + (top > 0 ? " of the top " + short_number(top) : ""));
  if (!unmapped.empty() && unmapped != "zero") add("unmapped: " + unmapped);
  return shown;
}

}  // namespace

bool System::operator<(const System& other) const {
  const auto rank = [](const System& s) {
    return std::make_tuple(s.target, rank_of(s.method), s.method, s.delta, s.mode, s.alpha);
  };
  return rank(*this) < rank(other);
}

std::string describe_addition(const System& system) {
  if (system.delta.empty()) return system.method;
  std::string how = system.method == "cmc" ? "" : system.method;
  if (!system.mode.empty()) how += (how.empty() ? "" : ", ") + system.mode;
  return how.empty() ? system.delta : system.delta + " (" + how + ")";
}

std::string describe_curve(const System& system) {
  return system.target + (system.delta.empty() ? " " : " + ") + describe_addition(system);
}

std::string describe(const System& system) {
  return describe_curve(system) + (system.delta.empty() ? "" : ", α " + short_number(system.alpha));
}

std::vector<Column> system_columns() {
  return {{"Target"}, {"Method"}, {"Delta"}, {"α"}};
}

std::vector<Cell> system_cells(const System& s) {
  const std::string method = s.mode.empty() ? s.method : s.method + " (" + s.mode + ")";
  return {s.target, method, s.delta, s.delta.empty() ? std::string() : short_number(s.alpha)};
}

std::string experiment_value(const std::string& experiment, const std::string& key) {
  return read_ini(experiment)[key];
}

std::vector<System> expected_systems(const std::string& experiment, const std::string& stage) {
  auto values = read_ini(experiment);
  const auto deltas = split(values["deltas." + stage]);
  if (deltas.empty()) return {};
  auto modes = split(values["fusion.mode"]);
  if (modes.empty()) modes = {"base_normalized"};
  std::vector<double> strengths;
  for (const auto& strength : split(values[stage + ".strengths"])) {
    char* end = nullptr;
    const double alpha = std::strtod(strength.c_str(), &end);
    if (*end == '\0') strengths.push_back(alpha);
  }
  auto methods = split(values["methods." + stage]);
  if (methods.empty()) methods = {"vanilla", "cmc"};
  std::vector<System> systems;
  const std::string own = values["models." + stage + "_targets"];  // unlearning may have chat models of its own
  for (const auto& target : split(own.empty() ? values["models.targets"] : own))
    for (const auto& method : methods) {
      if (!adds_a_delta(method)) {
        systems.push_back({target, method, "", "", 0});
        continue;
      }
      // What CMC is compared with has the first delta alone; so have variants of CMC, which are measured at one
      // strength.
      for (const auto& delta : method == "cmc" ? deltas : std::vector{deltas.front()})
        for (const auto& mode : method == "cmc" && delta == deltas.front() ? modes : std::vector{modes.front()})
          for (const double alpha : mode == modes.front() ? strengths : metrics::nearest_to_1(strengths))
            systems.push_back({target, method, delta, shown_mode({{"mode", mode}}), alpha});
    }
  return systems;
}

std::string main_delta(const std::string& experiment, const std::string& stage) {
  const auto deltas = split(read_ini(experiment)["deltas." + stage]);
  return deltas.empty() ? "" : deltas.front();
}

System system_of(const store::Unit& unit, size_t row) {
  System system{text_of(unit.task, "target"), text_of(unit.task, "method"), text_of(unit.task, "delta"),
                shown_mode(unit.task), 0};
  if (system.is_vanilla()) return system.vanilla();
  if (system.delta.empty()) return system;  // trained itself: nothing is added, whatever the strength
  const auto strengths = numbers(unit, "alpha");
  system.alpha = strengths.empty() ? number_of(unit.task, "alpha") : at(strengths, row);
  if (std::isnan(system.alpha)) system.alpha = 1;  // the paper's, where a unit does not say
  return system;
}

int64_t item_of(const store::Unit& unit, size_t row) {
  const auto items = numbers(unit, "item");
  if (row < items.size()) return static_cast<int64_t>(items[row]);
  const double first = number_of(unit.task, "first");
  return static_cast<int64_t>(row) + (std::isnan(first) ? 0 : static_cast<int64_t>(first));
}

}  // namespace cmc::analysis
