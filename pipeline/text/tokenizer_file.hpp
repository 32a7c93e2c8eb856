#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// A tokenizer.json read once from front to back: vocabulary and merges, which are most of it, as plain lists, the rest
// as JSON. A 30 MB file takes a fraction of the time and memory of a whole JSON document.
struct TokenizerFile {
  std::string name;                                         // for errors
  Json rest;                                                // everything but model.vocab and model.merges
  std::vector<std::pair<std::string, int32_t>> vocabulary;  // as written; ids in [0, max_id]
  std::vector<std::pair<std::string, double>> scored;       // instead, for Unigram: piece and score by id
  std::vector<std::pair<std::string, std::string>> merges;  // by rank

  static constexpr int32_t max_id = (1 << 24) - 1;  // 64 times the largest vocabulary in use
};

// Throws MissingInput, or BadData naming the field: not JSON, nested too deeply, duplicate keys, ids that are no
// integers in range, merges that are no pairs, or a Git LFS pointer in the file's place.
TokenizerFile read_tokenizer_file(const std::filesystem::path& file);

// Throws BadData where `text`, the content of `file`, is what Git leaves of a large file it did not fetch.
void refuse_pointer(std::string_view text, const std::string& file);

}  // namespace cmc::text
