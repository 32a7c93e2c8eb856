#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/store/cost.hpp"

namespace cmc::store {

using Values = std::variant<std::vector<float>, std::vector<double>, std::vector<int32_t>, std::vector<int64_t>,
                            std::vector<std::string>>;

// One named array of a unit, with what a reader needs to understand it.
struct Dataset {
  std::string name;                     // lower_snake_case
  std::vector<std::string> dimensions;  // names, outermost first; lengths in `shape`
  std::vector<int64_t> shape;           // product = number of values
  Values values;
  std::string units = "1";  // "1", "nat", "s", "B", "token"
  std::string long_name;
  std::string definition;  // for a metric: how it is computed; may be empty
};

using RaggedValues = std::variant<std::vector<int32_t>, std::vector<float>>;

// Sequences of different lengths: `values` one after the other, `offsets` [n + 1].
struct Ragged {
  std::string name;
  std::string dimension;  // of the sequences
  RaggedValues values;
  std::vector<int64_t> offsets;
  std::string units = "token";
  std::string long_name;
  int64_t size() const {
    return std::visit([](const auto& all) { return static_cast<int64_t>(all.size()); }, values);
  }
};

// What tells a unit from others, in plain values: attributes of its group and columns of /tasks. Follows from `task`,
// so it is written and not read.
struct Label {
  std::string name;                                  // lower_snake_case
  std::variant<std::string, double, int64_t> value;  // "", NaN, −1: it does not apply
  std::string long_name = {};
};

// The result of one task, in memory: what a stage returns and what tests compare, without a disk.
struct Unit {
  std::string key;    // SHA-256 of the task
  std::string stage;  // "instruct", …
  Json task;          // resolved parameters, inputs, content identities
  Json provenance;    // version, host, device, seeds
  Cost cost;
  std::vector<Dataset> datasets;
  std::vector<Ragged> ragged;
  std::vector<Label> labels = {};
  std::string where = {};  // the file, and the group in it, that it was read from; "": it was made here
};

}  // namespace cmc::store
