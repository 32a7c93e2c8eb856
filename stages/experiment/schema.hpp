#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "stages/experiment/setting.hpp"

namespace cmc::stages {

// One key that an experiment file may hold. `*` in the section stands for a name that the user gives (model.*,
// delta.*).
struct KeySpec {
  std::string key;            // "section.key" or "section.*.key"
  std::string_view kind;      // "whole number"
  std::string default_value;  // "": unset
  std::string_view help;      // with unit and source
  std::vector<std::string_view> choices;
  bool required = false;
  Range range = {};  // of a number
};

// Every key, in the order they are printed, from the sections' lists.
const std::vector<KeySpec>& schema();

// The spec that `key` matches, or nullptr.
const KeySpec* find_spec(std::string_view key);

// The known key with the smallest edit distance to `key`, for error messages.
std::string nearest_key(std::string_view key);

}  // namespace cmc::stages
