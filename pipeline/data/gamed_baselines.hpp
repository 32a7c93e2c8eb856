#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// A row of alpaca_eval's df_gamed.csv: what a judge said of an output that was written to please it.
struct GamedBaseline {
  int64_t index = 0;             // of the instruction in the data set, from 0
  double preference = 0;         // 0 to 1
  double length_difference = 0;  // std_delta_len
  double difficulty = 0;         // instruction_difficulty
};

// A table of comma-separated values whose first line names the columns, among them index, preference, std_delta_len and
// instruction_difficulty; others are left alone. Throws MissingInput, or BadData naming file, line and column.
Dataset<GamedBaseline> read_gamed_baselines(const std::filesystem::path& file);

// SHA-256 of the file that alpaca_eval's published win rates are of (data set tatsu-lab/alpaca_eval, revision 2edc6fa).
inline constexpr std::string_view published_gamed_baselines =
    "97aeec3f1c7de6dee6fd31fe66f1702623f4614c3efe1c6fc5f4927cd5fd674d";

// Of each instruction, in the data set's order. Throws BadData where an index is missing, or says two things.
std::vector<double> instruction_difficulties(const Dataset<GamedBaseline>& baselines);

}  // namespace cmc::data
