#include "pipeline/store/task_table.hpp"

#include <algorithm>
#include <limits>

#include "pipeline/store/schema.hpp"

namespace cmc::store {
namespace {

std::string text_at(const Json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

const Label* find_label(const std::vector<Label>& labels, const std::string& name) {
  const auto found = std::ranges::find(labels, name, &Label::name);
  return found == labels.end() ? nullptr : &*found;
}

// Of every row; what a row lacks is "", NaN or −1.
template <class T>
Values label_values(const auto& rows, const std::string& name, T missing) {
  std::vector<T> values;
  for (const auto& row : rows) {
    const Label* label = find_label(row.labels, name);
    const T* value = label ? std::get_if<T>(&label->value) : nullptr;
    values.push_back(value ? *value : missing);
  }
  return values;
}

}  // namespace

void TaskTable::add(const Unit& unit, const std::string& group) {
  rows_.push_back({unit.key, unit.stage, group, text_at(unit.provenance, "host"), unit.cost, unit.labels});
}

Table TaskTable::table() const {
  Table table{schema::tasks_group, "task", {}};
  const auto texts = [&](const char* name, std::string Row::*field, const char* long_name) {
    std::vector<std::string> column;
    for (const Row& row : rows_) column.push_back(row.*field);
    table.columns.push_back({name, std::move(column), "1", long_name});
  };
  const auto numbers = [&](const char* name, auto Cost::*field, const char* units, const char* long_name) {
    std::vector<double> column;
    for (const Row& row : rows_) {
      const auto& value = row.cost.*field;
      column.push_back(value ? static_cast<double>(*value) : std::numeric_limits<double>::quiet_NaN());
    }
    table.columns.push_back({name, std::move(column), units, long_name});
  };
  texts("key", &Row::key, "SHA-256 of the task");
  texts("stage", &Row::stage, "stage that ran the task");
  texts("group", &Row::group, "group of this file that holds the result");
  std::vector<Label> labels;  // of any row, in the order of their first appearance
  for (const Row& row : rows_)
    for (const Label& label : row.labels)
      if (!find_label(labels, label.name)) labels.push_back(label);
  for (const Label& label : labels) {
    Values values = std::visit(
        [&]<class T>(const T&) {
          if constexpr (std::is_same_v<T, double>)
            return label_values<T>(rows_, label.name, std::numeric_limits<T>::quiet_NaN());
          else if constexpr (std::is_same_v<T, int64_t>)
            return label_values<T>(rows_, label.name, -1);
          else
            return label_values<T>(rows_, label.name, T{});
        },
        label.value);
    table.columns.push_back({label.name, std::move(values), "1", label.long_name});
  }
  texts("host", &Row::host, "machine that ran the task");
  numbers("wall_seconds", &Cost::wall_seconds, "s", "elapsed time of the task");
  numbers("device_seconds", &Cost::device_seconds, "s",
          "time the devices worked: processor time, or elapsed time times GPUs");
  numbers("tokens", &Cost::tokens, "token", "tokens processed");
  numbers("flops", &Cost::flops, "1", "floating-point operations, estimated");
  numbers("peak_bytes", &Cost::peak_bytes, "B", "peak memory of the process");
  return table;
}

}  // namespace cmc::store
