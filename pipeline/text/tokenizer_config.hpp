#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/text/added_tokens.hpp"

namespace cmc::text {

// A token as a configuration names it: by its text alone, or with flags.
struct NamedToken {
  AddedToken token;
  bool with_flags = false;
};

// A key that is absent, one that is null, or a token.
struct Role {
  bool given = false;
  std::optional<NamedToken> token;
};

// What stands beside a tokenizer's file, merged as transformers merges it: tokenizer_config.json, and where that has no
// added_tokens_decoder special_tokens_map.json and added_tokens.json.
struct TokenizerConfig {
  std::string file;         // tokenizer_config.json, for errors
  bool present = false;     // that file exists
  std::string class_name;   // tokenizer_class without "Fast", here or else in config.json
  std::string model_type;   // config.json; empty: none
  bool class_here = false;  // class_name stands in tokenizer_config.json
  bool own_code = false;    // names code of its own (auto_map)

  std::optional<bool> add_begin, add_end, add_prefix_space, legacy;
  bool split_special_tokens = false;  // special tokens written out in a text are text
  bool clean_up_spaces = false, clean_up_spaces_of_bpe = false;

  std::map<std::string, Role> roles;                            // bos_token, eos_token, unk_token, pad_token, …
  std::vector<std::pair<std::string, NamedToken>> model_roles;  // other keys "…_token", in order
  bool extra_given = false;
  std::vector<NamedToken> extra;       // extra_special_tokens
  std::vector<NamedToken> additional;  // additional_special_tokens of special_tokens_map.json
  std::map<int32_t, AddedToken> added;
  std::optional<std::string> text_of(const std::string& role) const;  // of the token that has a role
  bool added_complete = false;  // an added_tokens_decoder: tokenizer.json's own list does not count as well
};

// The roles every tokenizer may have, in the order in which their tokens are added.
inline constexpr const char* standard_roles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                 "pad_token", "cls_token", "mask_token"};

// Reads it from `folder`; no file gives an empty configuration. Throws BadData naming file and field.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace cmc::text
