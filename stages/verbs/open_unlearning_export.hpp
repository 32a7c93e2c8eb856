#pragma once
#include <map>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/metrics/tofu.hpp"
#include "pipeline/records/rows.hpp"

namespace cmc::stages {

// A system's rows of the stage unlearn, by set, in the order of items.
using TofuRows = std::map<metrics::TofuSet, std::vector<records::UnlearnRow>>;

// TOFU_EVAL.json as locuslab/open-unlearning writes it: {metric: {"agg_value", "value_by_index"}} by its names, of the
// sets that there are. `retain_only`: rows of the model that forget quality and privacy leakage compare with; without
// them the one is null, the other against chance, as there.
Json open_unlearning_log(const TofuRows& rows, const TofuRows& retain_only);

// TOFU_SUMMARY.json: {metric: its agg_value}, of those that have one.
Json open_unlearning_summary(const Json& log);

}  // namespace cmc::stages
