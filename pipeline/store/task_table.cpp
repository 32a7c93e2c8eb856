#include "pipeline/store/task_table.hpp"

#include <limits>

#include "pipeline/store/dimension_scales.hpp"
#include "pipeline/store/hdf5_dataset.hpp"
#include "pipeline/store/schema.hpp"

namespace cmc::store {
namespace {

std::string text_at(const Json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

double number_at(const Json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_number() ? json[name].get<double>()
                                                                           : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void TaskTable::add(const Unit& unit, const std::string& group) {
  rows_.push_back({unit.key, unit.stage, text_at(unit.task, "name"), text_at(unit.task, "target"),
                   text_at(unit.task, "method"), text_at(unit.task, "delta"), text_at(unit.provenance, "host"), group,
                   number_at(unit.task, "alpha"), number_at(unit.cost, "wall_seconds"),
                   number_at(unit.cost, "device_seconds"), number_at(unit.cost, "tokens"),
                   number_at(unit.cost, "flops"), number_at(unit.cost, "peak_bytes")});
}

void TaskTable::write(const Object& group) const {
  const auto length = static_cast<int64_t>(rows_.size());
  DimensionScales scales;
  const auto put = [&](const char* name, const Values& values, const char* units, const char* long_name) {
    Object column = write_values(group, name, {length}, values);
    write_attribute(column, schema::units, std::string_view(units));
    write_attribute(column, schema::long_name, std::string_view(long_name));
    if (std::string_view(name) == "task")
      scales.add_scale("task", std::move(column));
    else
      scales.attach(column, {"task"});
  };
  const auto texts = [&](std::string Row::*field) {
    std::vector<std::string> column;
    for (const Row& row : rows_) column.push_back(row.*field);
    return Values(column);
  };
  const auto numbers = [&](double Row::*field) {
    std::vector<double> column;
    for (const Row& row : rows_) column.push_back(row.*field);
    return Values(column);
  };
  std::vector<int64_t> counts;
  for (int64_t i = 0; i < length; ++i) counts.push_back(i);
  put("task", counts, "1", "index along task");
  put("key", texts(&Row::key), "1", "SHA-256 of the task");
  put("stage", texts(&Row::stage), "1", "stage that ran the task");
  put("name", texts(&Row::name), "1", "task as the plan names it");
  put("group", texts(&Row::group), "1", "group of this file that holds the result");
  put("target", texts(&Row::target), "1", "target model");
  put("method", texts(&Row::method), "1", "method applied to the target");
  put("delta", texts(&Row::delta), "1", "delta model");
  put("alpha", numbers(&Row::alpha), "1", "strength of the delta");
  put("host", texts(&Row::host), "1", "machine that ran the task");
  put("wall_seconds", numbers(&Row::wall_seconds), "s", "elapsed time of the task");
  put("device_seconds", numbers(&Row::device_seconds), "s",
      "time the devices worked: processor time, or elapsed time times GPUs");
  put("tokens", numbers(&Row::tokens), "token", "tokens processed");
  put("flops", numbers(&Row::flops), "1", "floating-point operations, estimated");
  put("peak_bytes", numbers(&Row::peak_bytes), "B", "peak memory of the process");
  scales.finish();
}

}  // namespace cmc::store
