#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// What transformers knows of a checkpoint's tokenizer beside its vocabulary: tokenizer_config.json, and what
// special_tokens_map.json adds to it (which counts only where the configuration has no added_tokens_decoder). An empty
// object where there is neither. Throws BadData naming the file.
Json tokenizer_settings(const std::filesystem::path& model_folder);

// The named special tokens as texts, "bos_token" → "<s>": those that stand beside the tokenizer, others by what its
// class takes where it is told nothing (transformers' AutoTokenizer). Tokens of a model's own ("image_token") are among
// them. Throws BadData naming file and field, Refused for a class that is not read.
std::map<std::string, std::string> special_texts(const std::filesystem::path& model_folder);

}  // namespace cmc::text
