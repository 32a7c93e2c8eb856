#pragma once
#include <filesystem>
#include <memory>

#include "pipeline/text/tokenizer.hpp"
#include "pipeline/text/tokenizer_config.hpp"

namespace cmc::text {

// A Hugging Face tokenizer.json with a BPE model. Gives the ids of the tokenizers library (0.23) for the components of
// the GPT-2, Llama, Mistral, Gemma, Qwen and SmolLM families. Throws MissingInput or BadData naming file and field.
std::shared_ptr<const Tokenizer> load_json_tokenizer(const std::filesystem::path& file, const TokenizerConfig& config);

}  // namespace cmc::text
