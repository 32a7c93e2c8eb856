// What stages write, for test_*.py: probe_records columns → {stage: [{"name", "dimension", "units", "long_name"}…]};
// probe_records metrics → [{"name", "title", "unit", "definition"}…];
// probe_records measure N FOLDER: FOLDER/results.h5 with N measurements, as test_many_measurements.py computes them.
#include <cmath>
#include <iostream>

#include "pipeline/core/error.hpp"
#include "pipeline/records/results_tables.hpp"

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
  const Json steps = columns<StepRow>(), evaluated = columns<StepRow, HeldOutRow>();
  return {{"token_map", columns<TokenMapRow, CoverageRow>()},
          {"pretrain", steps},
          {"prepare", steps},
          {"train", evaluated},
          {"adapt", evaluated},
          {"relearn", steps},
          {"byte_exact", columns<ByteExactRow>()},
          {"instruct", columns<InstructRow>()},
          {"likelihood", columns<LikelihoodRow>()},
          {"ifeval", columns<IfevalRow>()},
          {"judge", columns<JudgeRow>()},
          {"similarity", columns<ShiftRow, ShiftStepRow>()},
          {"unlearn", columns<UnlearnRow>()},
          {"robustness", columns<UnlearnRow>()}};
}

Json metric_list() {
  Json list = Json::array();
  for (const Metric& metric : all_metrics())
    list.push_back(
        {{"name", metric.name}, {"title", metric.title}, {"unit", metric.unit}, {"definition", metric.definition}});
  return list;
}

// Half of the systems are targets alone, half steer them; what compares the two is added by finish().
Measurements many(int64_t rows) {
  constexpr int64_t targets = 50;
  const int rouge = metric_code(metric::rouge_l);
  Measurements all;
  const int16_t set = all.set_code("forget");
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t of = row % (2 * targets), item = row / (2 * targets);
    const System target{"target_" + std::to_string(of % targets), Method::vanilla, "", 0, {}, 1};
    const System steered{target.target, Method::cmc, "tiny", 1, {"base_normalized", "pm_mined", "zero", 0}, 1};
    const double turned = 0.6180339887498949 * static_cast<double>(row), value = turned - std::floor(turned);
    all.add(all.code(of < targets ? target : steered), set, item, rouge, value);
  }
  all.finish();
  return all;
}

void write_many(int64_t rows, const std::string& folder) {
  store::ResultsHeader header{"many measurements", "", Json::object()};
  store::Additions additions;
  additions.tables = [&] {
    const Measurements measurements = many(rows);
    return measurement_tables(measurements, Summary(measurements));
  };
  store::write_results(folder, header, {}, additions);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "measure" && argc == 4) {
    write_many(std::stoll(argv[2]), argv[3]);
    return 0;
  }
  if (what != "columns" && what != "metrics") return 2;
  std::cout << (what == "columns" ? all_columns() : metric_list()) << std::endl;
  return 0;
}
