#pragma once
#include <cstdint>
#include <vector>

#include "pipeline/data/tofu.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/workbench/steered_target.hpp"

namespace cmc::stages {

// One item of a TOFU set with its place in the file.
struct TofuItem {
  int64_t place = 0;
  data::PerturbedItem item;
};

// The set in `data`; items first … first + count of it. Throws BadData when the file is not the one that was planned
// with.
std::vector<TofuItem> read_tofu_set(const records::FileReference& data, const Workbench& bench);
std::vector<TofuItem> read_tofu_slice(const records::FileReference& data, const records::Slice& slice,
                                      const Workbench& bench);

// What `target` generates for the items, and the log-probabilities of their answers: a row a strength and item
// (protocol, "TOFU evaluation"). Throws BadData where an item has another number of wrong answers than the first.
std::vector<records::UnlearnRow> evaluate_tofu(const records::UnlearnParameters& p, const std::vector<TofuItem>& items,
                                               const TaskProgress& report, SteeredTarget& target);

}  // namespace cmc::stages
