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

// The named special tokens as texts, "bos_token" → "<s>": those of `settings`, others by what the tokenizer's class
// takes where it is told nothing (transformers' AutoTokenizer). Tokens of a model's own ("image_token") are among them.
// Throws BadData naming file and field.
std::map<std::string, std::string> special_texts(const Json& settings, const std::filesystem::path& model_folder);

}  // namespace cmc::text
