#pragma once
#include <filesystem>
#include <memory>

#include "pipeline/text/tokenizer.hpp"
#include "pipeline/text/tokenizer_config.hpp"

namespace cmc::text {

// A SentencePiece tokenizer.model (Kudo & Richardson 2018), encoded by the library itself. `as_model` puts the begin
// token before the text (unless add_bos_token says no) and the end token behind it (only if add_eos_token says so), as
// transformers does for Llama and Mistral. Throws MissingInput or BadData naming the file.
std::shared_ptr<const Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file,
                                                              const TokenizerConfig& config);

}  // namespace cmc::text
