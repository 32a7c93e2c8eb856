#pragma once
#include <filesystem>

#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// vocab.json and merges.txt, GPT-2's two files; they serve only classes that know the rest of a tokenizer themselves
// (`class_knows_rest`). Throws MissingInput or Refused for a folder without them, naming what it has instead.
TokenizerFile read_vocabulary_files(const std::filesystem::path& folder, bool class_knows_rest);

}  // namespace cmc::text
