#pragma once

namespace cmc {

// What of a model's folder says how texts become tokens and how a chat is written, as transformers reads it.
inline constexpr const char* tokenizer_file_names[] = {
    "tokenizer.json",        "tokenizer.model",   "vocab.json",        "merges.txt",
    "tokenizer_config.json", "tiktoken.model",    "added_tokens.json", "special_tokens_map.json",
    "chat_template.jinja",   "chat_template.json"};

}  // namespace cmc
