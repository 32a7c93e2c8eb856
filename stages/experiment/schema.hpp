#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cmc::stages {

enum class ValueType { text, path, integer, number, list, numbers };
std::string_view name_of(ValueType type);

// One key an experiment file may hold. `*` in the section stands for a name the user gives (model.*, delta.*).
struct KeySpec {
  std::string_view key;  // "section.key" or "section.*.key"
  ValueType type;
  std::string_view default_value;  // "" with required = false: unset
  bool required;
  std::string_view help;  // with unit and source
  std::vector<std::string_view> choices = {};
};

// Every key, in the order they are printed.
const std::vector<KeySpec>& schema();

// The spec that `key` matches, or nullptr.
const KeySpec* find_spec(std::string_view key);

// The known key with the smallest edit distance to `key`, for error messages.
std::string nearest_key(std::string_view key);

}  // namespace cmc::stages
