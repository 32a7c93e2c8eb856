// Units as measurements, by stage.
#include <algorithm>
#include <iterator>
#include <map>

#include "pipeline/records/ifeval_metrics.hpp"
#include "pipeline/records/measurements.hpp"

namespace cmc::records {
namespace {

// The system of each strength, by its code.
class Systems {
 public:
  Systems(Measurements& measurements, System system) : measurements_(measurements), system_(std::move(system)) {}
  int32_t at(double strength) {
    const double counts =
        system_.adds_delta() ? strength : 0;  // trained itself: nothing is added, whatever the strength
    const auto [known, fresh] = codes_.try_emplace(counts, 0);
    if (fresh) {
      System one = system_;
      one.strength = counts;
      known->second = measurements_.code(one);
    }
    return known->second;
  }

 private:
  Measurements& measurements_;
  System system_;
  std::map<double, int32_t> codes_;
};

template <class Row, class... More>
void measure(const std::vector<Row>& rows, const std::vector<RowMetric<Row, More...>>& list, Systems systems,
             int16_t set, Measurements& out, More... more) {
  for (const auto& metric : list) {
    const int code = metric_code(metric.about.name);
    for (const Row& row : rows) out.add(systems.at(row.alpha), set, row.item, code, metric.value(row, more...));
  }
}

// All instructions together, and each kind's as a set of its own.
void measure_ifeval(const store::Unit& unit, const System& system, Measurements& out) {
  const auto rows = read_rows<IfevalRow>(unit);
  measure(rows, ifeval_metrics(), {out, system}, out.set_code(std::string(ifeval_set)), out);
  const auto is_counted = [](const auto& metric) {
    return metric.about.name == metric::ifeval_instructions || metric.about.name == metric::ifeval_followed_strict ||
           metric.about.name == metric::ifeval_followed_loose;
  };
  std::vector<RowMetric<IfevalRow>> counts;
  std::ranges::copy_if(ifeval_metrics(), std::back_inserter(counts), is_counted);
  for (const auto& [kind, of_kind] : rows_by_kind(rows))
    measure(of_kind, counts, {out, system}, out.set_code(kind), out);
}

void measure_shifts(const store::Unit& unit, const System& system, int16_t set, Measurements& out) {
  const auto rows = read_rows<ShiftRow>(unit);
  const int32_t code = out.code(system);
  for (const auto& metric : shift_metrics())
    for (const auto& row : rows) out.add(code, set, row.item, metric_code(metric.about.name), metric.value(row));
}

void measure_coverage(const store::Unit& unit, const System& system, Measurements& out) {
  const bool published = unit.task.value("compat", std::string()) == "authors";
  const int16_t set = out.set_code(std::string(published ? published_map_set : map_set));
  const int32_t code = out.code(system);
  for (const auto& row : read_rows<CoverageRow>(unit))
    for (const auto& metric : coverage_metrics())
      out.add(code, set, 0, metric_code(metric.about.name), metric.value(row));
}

template <class Row>
void measure_training(const store::Unit& unit, const std::vector<TrainingMetric<Row>>& list, const System& system,
                      Measurements& out) {
  if (!has_rows<Row>(unit)) return;
  const auto rows = read_rows<Row>(unit);
  const int16_t set = out.set_code(training_set(unit.stage, unit.task));
  const int32_t code = out.code(system);
  if (rows.empty()) return;
  for (const auto& metric : list) out.add(code, set, 0, metric_code(metric.about.name), metric.value(rows));
}

}  // namespace

std::string training_set(const std::string& stage, const Json& task) {
  const auto text = [&](const char* key) {
    return task.contains(key) && task.at(key).is_string() ? task.at(key).get<std::string>() : "";
  };
  std::string kind = stage, how;
  for (const char* key : {"kind", "purpose"})
    if (const std::string purpose = text(key); !purpose.empty()) kind = purpose;
  for (const char* key : {"role", "method", "part"})
    if (const std::string value = text(key); !value.empty()) how = value;
  if (stage == "relearn") kind += " " + std::to_string(task.at("training").value("epochs", 0));
  const bool usual = how.empty() || how == name_of(Role::delta) || how == name_of(Part::all);
  return std::string(training_prefix) + kind + (usual ? "" : " (" + how + ")");
}

void Measurer::take(const store::Unit& unit) {
  const auto labels = labels_of(unit.stage, unit.task, where_of(unit));
  System system = labels.system;
  system.seed = seeds_.of(unit.key);
  if (unit.stage == "instruct")
    measure(read_rows<InstructRow>(unit), instruct_metrics(), {measurements_, system},
            measurements_.set_code(labels.set), measurements_);
  if (unit.stage == "ifeval") measure_ifeval(unit, system, measurements_);
  if (unit.stage == "judge")
    measure(read_rows<JudgeRow>(unit), judge_metrics(), {measurements_, system}, measurements_.set_code(labels.set),
            measurements_);
  const bool asks_tofu = unit.stage == "unlearn" || unit.stage == "robustness";
  if (const auto set = metrics::find_tofu_set(base_set(labels.set)); asks_tofu && set)
    measure(read_rows<UnlearnRow>(unit), unlearn_metrics(), {measurements_, system}, measurements_.set_code(labels.set),
            measurements_, *set);
  if (unit.stage == "likelihood")
    measure(read_rows<LikelihoodRow>(unit), likelihood_metrics(), {measurements_, system},
            measurements_.set_code(labels.set), measurements_);
  if (unit.stage == "byte_exact")
    measure(read_rows<ByteExactRow>(unit), byte_exact_metrics(), {measurements_, system},
            measurements_.set_code(labels.set), measurements_);
  system.strength = 0;
  if (unit.stage == "similarity") measure_shifts(unit, system, measurements_.set_code(labels.set), measurements_);
  if (unit.stage == "token_map") measure_coverage(unit, system, measurements_);
  measure_training(unit, training_metrics(), system, measurements_);
  measure_training(unit, held_out_metrics(), system, measurements_);
}

Measurements Measurer::finish() {
  measurements_.finish();
  return std::move(measurements_);
}

}  // namespace cmc::records
