#pragma once
#include <filesystem>

#include "pipeline/data/tofu_log_items.hpp"

namespace cmc::data {

// TOFU's evaluation log: eval_log_aggregated.json, as locuslab/tofu's evaluate_util.py writes it (one object per set,
// in it one object per field, in that one value per item), or open-unlearning's (open_unlearning_log.hpp), told apart
// by their names.
//
// Throws MissingInput, or BadData naming file, set or metric, item and field: of TOFU's own, sets or fields missing
// (all of them named), a field not keyed by item; of either, an item that one field has and another has not, a loss
// that is no number from 0 on (Python's NaN and Infinity included), wrong answers of another count. Other sets and
// fields are left alone.
TofuLog read_tofu_log(const std::filesystem::path& file, TofuLogPart part = TofuLogPart::all);

}  // namespace cmc::data
