#pragma once
#include <string>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/records/small_llama.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/experiment/sections.hpp"

// Models that an experiment makes itself, from the sizes in its file.
namespace cmc::stages {

enum class Output { own, embedding };  // embedding: tied to it, as a delta's is
records::SmallLlama made_llama(const sections::Sizes& sizes, Output output);

// Its configuration with the vocabulary and the begin and end tokens of `tokenizer`. Throws BadData naming `where`.
checkpoint::ModelConfig config_of(const records::SmallLlama& made, const text::Tokenizer& tokenizer,
                                  const std::string& where);

}  // namespace cmc::stages
