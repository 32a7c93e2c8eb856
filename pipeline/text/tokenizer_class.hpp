#pragma once
#include <string>
#include <utility>
#include <vector>

#include "pipeline/text/tokenizer_config.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// The classes of transformers 5 that AutoTokenizer makes of a decoder's folder. All but `backend` take vocabulary,
// merges and post-processor from tokenizer.json and build the rest anew: what its normalizer, pre-tokenizer, decoder
// and list of added tokens say does not count.
enum class TokenizerClass { backend, llama, code_llama, gemma, gpt2, code_gen, gpt_neox, qwen2, qwen3_5, cohere };

// Which one, from the class and the model type that the configuration names. `byte_level`: the tokenizer.json does
// that. Throws Refused for a class that builds anew in a way this reader does not know.
TokenizerClass tokenizer_class_of(const TokenizerConfig& config, bool byte_level);

// Classes of GPT-2's kind, which can also be made of vocab.json and merges.txt.
bool is_byte_level(TokenizerClass of);

// Puts the class's own parts into `file`; nothing for `backend`.
void rebuild(TokenizerFile& file, TokenizerClass of, const TokenizerConfig& config);

// Roles that the class fills where the configuration does not mention them: a text, or nullptr for none.
const std::vector<std::pair<std::string, const char*>>& default_roles(TokenizerClass of);

}  // namespace cmc::text
