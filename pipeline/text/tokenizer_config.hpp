#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::text {

// What tokenizer_config.json (or, for the roles alone, special_tokens_map.json) says; every field may be absent.
struct TokenizerConfig {
  std::string file;                                         // for errors
  std::optional<std::string> begin, end, unknown, padding;  // bos_token, eos_token, unk_token, pad_token
  std::optional<bool> add_begin, add_end;                   // add_bos_token, add_eos_token; for tokenizer.model alone
};

// Reads it from `folder`; no file gives an empty configuration. Throws BadData naming file and field.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

// Ids of the roles. Where the configuration is silent, the names that the common families use are looked up among the
// special tokens. `id_of` gives -1 for an unknown piece. Throws BadData for a begin or end token that does not exist.
SpecialTokens special_tokens_of(const TokenizerConfig& config, const std::function<int32_t(const std::string&)>& id_of);

}  // namespace cmc::text
