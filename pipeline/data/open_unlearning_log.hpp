#pragma once
#include <filesystem>

#include "pipeline/data/tofu_log_items.hpp"

namespace cmc::data {

// TOFU's metrics as locuslab/open-unlearning writes them: TOFU_EVAL.json, {metric: {"agg_value": mean,
// "value_by_index": {item: values}}}, and TOFU_SUMMARY.json, {metric: mean}. A log holds what was asked for: what it
// has not stays empty.

// Whether an object names a metric of TOFU's.
bool is_open_unlearning_log(const Json& json);

// `json`: the content of `file`. Throws BadData naming file, metric and item where a value is malformed, where metrics
// of one set cover different items, and of forget_truth_ratios where the log has none by item.
TofuLog read_open_unlearning_log(const Json& json, const std::filesystem::path& file, TofuLogPart part);

}  // namespace cmc::data
