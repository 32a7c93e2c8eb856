#pragma once
#include <memory>

#include "pipeline/text/token_model.hpp"
#include "pipeline/text/tokenizer_file.hpp"

namespace cmc::text {

// BPE or Unigram. Throws BadData naming the field of `file` that is wrong, or the model it does not know.
std::unique_ptr<const TokenModel> read_token_model(const TokenizerFile& file);

}  // namespace cmc::text
