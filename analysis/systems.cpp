#include "analysis/systems.hpp"

namespace cmc::analysis {

std::vector<Column> system_columns() {
  return {{"Target"}, {"Method"}, {"Delta"}, {"α"}};
}

std::vector<Cell> system_cells(const records::System& s) {
  const std::string method(name_of(s.method)), variant = describe(s.fusion);
  return {s.target, variant.empty() ? method : method + " (" + variant + ")", s.delta,
          s.adds_delta() ? records::short_number(s.strength) : std::string()};
}

Column metric_column(const records::Metric& metric, const std::string& group, bool on_forget) {
  const auto better = on_forget ? metric.better_on_forget : metric.better;
  return {std::string(metric.title), group, metric.digits, std::string(name_of(better)), metric.over_seeds};
}

}  // namespace cmc::analysis
