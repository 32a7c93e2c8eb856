// What stages write, for test_*.py: probe_records columns → {stage: [{"name", "dimension", "units", "long_name"}…]};
// probe_records metrics → [{"name", "title", "unit", "definition"}…].
#include <iostream>

#include "pipeline/core/error.hpp"
#include "pipeline/records/metric.hpp"

namespace {
using namespace cmc;
using namespace cmc::records;

template <class... Rows>
Json columns() {
  Json list = Json::array();
  const auto add = [&](const std::vector<About>& columns) {
    for (const About& about : columns)
      list.push_back({{"name", about.name},
                      {"dimension", about.dimension},
                      {"units", about.units},
                      {"long_name", about.long_name}});
  };
  (add(columns_of<Rows>()), ...);
  return list;
}

Json all_columns() {
  const Json steps = columns<StepRow>();
  return {{"token_map", columns<TokenMapRow, CoverageRow>()},
          {"pretrain", steps},
          {"prepare", steps},
          {"train", steps},
          {"adapt", steps},
          {"instruct", columns<InstructRow>()},
          {"judge", columns<JudgeRow>()},
          {"similarity", columns<ShiftRow, ShiftStepRow>()},
          {"unlearn", columns<UnlearnRow>()}};
}

Json metric_list() {
  Json list = Json::array();
  for (const Metric& metric : all_metrics())
    list.push_back(
        {{"name", metric.name}, {"title", metric.title}, {"unit", metric.unit}, {"definition", metric.definition}});
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 2 ? argv[1] : "";
  if (what != "columns" && what != "metrics") return 2;
  std::cout << (what == "columns" ? all_columns() : metric_list()) << std::endl;
  return 0;
}
