#pragma once
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/records/measurements.hpp"

namespace cmc::records {

// IFEval's four figures (Zhou et al. 2023): the share of prompts all of whose instructions are followed, and of
// instructions, strict and loose. Shares of instructions stand under the set "ifeval" and, of one kind, under its id.

std::vector<std::string> instruction_ids(const IfevalRow& row);

// The rows of each kind, with its instructions alone.
std::map<std::string, std::vector<IfevalRow>> rows_by_kind(const std::vector<IfevalRow>& rows);

// A share of instructions, by what is counted per prompt.
struct InstructionShare {
  std::string_view share, followed;
};
inline constexpr std::array instruction_shares = {
    InstructionShare{metric::ifeval_instruction_strict, metric::ifeval_followed_strict},
    InstructionShare{metric::ifeval_instruction_loose, metric::ifeval_followed_loose}};

// Of a system on a set: over all its instructions, with the standard error of a ratio whose clusters are prompts. A
// dash where nothing is counted.
Figure instruction_share(const View& view, const System& system, std::string_view set, const InstructionShare& of);

}  // namespace cmc::records
