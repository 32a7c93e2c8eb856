#pragma once
#include <filesystem>
#include <string>

namespace cmc::checkpoint {

// What a model folder holds, as 64 hexadecimal digits: SHA-256 over the names and SHA-256s of config.json,
// generation_config.json, the weight files and the tokenizer's files. The folder's name does not matter. Hashes are
// kept for the life of the process by path, size and modification time. Throws MissingInput, BadData or Refused.
std::string content_identity(const std::filesystem::path& folder);

}  // namespace cmc::checkpoint
