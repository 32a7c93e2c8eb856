#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::text {

// The tokenizer of a folder as transformers' AutoTokenizer (5, fast) makes it, from tokenizer.json, tokenizer.model or
// vocab.json and merges.txt with what stands beside them. Throws MissingInput, BadData or Refused naming file and
// field.
std::shared_ptr<const Tokenizer> load_folder_tokenizer(const std::filesystem::path& folder);
// The same for a tokenizer.json of any name, with what stands beside it.
std::shared_ptr<const Tokenizer> load_file_tokenizer(const std::filesystem::path& tokenizer_json);

// The named special tokens of a folder's tokenizer as texts, "bos_token" → "<s>", and those of a model's own
// ("image_token"). Throws as load_folder_tokenizer does.
std::map<std::string, std::string> folder_special_texts(const std::filesystem::path& folder);

}  // namespace cmc::text
