#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// One instruction of a prompt as it stands in the file; the layer ifeval knows which ids there are and what they need.
struct IfevalInstruction {
  using Value = std::variant<int64_t, std::string, std::vector<std::string>>;
  std::string id;                       // "length_constraints:number_words"
  std::map<std::string, Value> kwargs;  // {"num_words": 300, "relation": "at least"}
  std::string where;                    // "input_data.jsonl:17: kwargs[0]", for errors
};

struct IfevalItem {
  int64_t key = 0;
  std::string prompt;                           // as it is in the file
  std::vector<IfevalInstruction> instructions;  // at least one
};

// IFEval's prompts (Zhou et al. 2023; input_data.jsonl): JSON lines with `key`, `prompt`, `instruction_id_list` and
// `kwargs`, an object for each id. A value that is null, as the published data set of Hugging Face has it for all that
// an instruction does not take, counts as absent; a whole number may be written as 3.0. Throws MissingInput or BadData
// naming file, line and field.
Dataset<IfevalItem> read_ifeval(const std::filesystem::path& file, size_t limit = all_items);

}  // namespace cmc::data
