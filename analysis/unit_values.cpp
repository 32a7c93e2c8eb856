#include "analysis/unit_values.hpp"

#include <limits>

namespace cmc::analysis {

const store::Dataset* find_dataset(const store::Unit& unit, const std::string& name) {
  for (const auto& dataset : unit.datasets)
    if (dataset.name == name) return &dataset;
  return nullptr;
}

std::vector<double> numbers(const store::Unit& unit, const std::string& name) {
  const auto* dataset = find_dataset(unit, name);
  if (!dataset) return {};
  return std::visit(
      []<class T>(const std::vector<T>& values) -> std::vector<double> {
        if constexpr (std::is_same_v<T, std::string>)
          return {};
        else
          return {values.begin(), values.end()};
      },
      dataset->values);
}

std::vector<std::string> texts(const store::Unit& unit, const std::string& name) {
  const auto* dataset = find_dataset(unit, name);
  const auto* values = dataset ? std::get_if<std::vector<std::string>>(&dataset->values) : nullptr;
  return values ? *values : std::vector<std::string>{};
}

std::vector<double> sequence_lengths(const store::Unit& unit, const std::string& name) {
  std::vector<double> lengths;
  for (const auto& ragged : unit.ragged)
    if (ragged.name == name)
      for (size_t i = 0; i + 1 < ragged.offsets.size(); ++i)
        lengths.push_back(static_cast<double>(ragged.offsets[i + 1] - ragged.offsets[i]));
  return lengths;
}

double at(const std::vector<double>& list, size_t index) {
  return index < list.size() ? list[index] : std::numeric_limits<double>::quiet_NaN();
}
std::string at(const std::vector<std::string>& list, size_t index) {
  return index < list.size() ? list[index] : "";
}

std::string text_of(const Json& object, const std::string& key) {
  if (!object.is_object() || !object.contains(key)) return "";
  const Json& value = object.at(key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_object() ? text_of(value, "name") : "";
}

double number_of(const Json& object, const std::string& key) {
  const bool known = object.is_object() && object.contains(key) && object.at(key).is_number();
  return known ? object.at(key).get<double>() : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace cmc::analysis
