#pragma once
#include <string>
#include <utility>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::stages {

// What a reader of results.h5 needs to understand a dataset.
struct About {
  std::string units = "1";
  std::string long_name;
  std::string definition = {};
};

// One value for each row of `dimension`.
template <class T>
store::Dataset column(std::string name, std::string dimension, std::vector<T> values, About about) {
  const auto rows = static_cast<int64_t>(values.size());
  return {std::move(name), {std::move(dimension)}, {rows}, std::move(values), std::move(about.units),
          std::move(about.long_name), std::move(about.definition)};
}

// Those of a unit that was read. Throws BadData where it has no such dataset.
template <class T>
const std::vector<T>& values(const store::Unit& unit, const std::string& name) {
  for (const auto& dataset : unit.datasets)
    if (dataset.name == name) return std::get<std::vector<T>>(dataset.values);
  throw BadData({"unit " + unit.key, "holds no dataset " + name, "it was written by another version; run again"});
}

// Sequences of token ids, one a row.
inline store::Ragged token_column(std::string name, std::string dimension, const std::vector<std::vector<int32_t>>& rows,
                                  std::string long_name) {
  store::Ragged ragged{std::move(name), std::move(dimension), {}, {0}, "token", std::move(long_name)};
  for (const auto& row : rows) {
    ragged.values.insert(ragged.values.end(), row.begin(), row.end());
    ragged.offsets.push_back(static_cast<int64_t>(ragged.values.size()));
  }
  return ragged;
}

}  // namespace cmc::stages
