#pragma once
#include <memory>
#include <string>

#include "pipeline/core/json.hpp"
#include "pipeline/text/added_vocabulary.hpp"
#include "pipeline/text/post_processor.hpp"
#include "pipeline/text/token_model.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::text {

// All a tokenizer of the tokenizers library is made of. The descriptions are as in tokenizer.json.
struct TokenizerParts {
  std::string name;  // for errors
  Json normalizer, pre_tokenizer, decoder;
  std::unique_ptr<const TokenModel> model;
  AddedVocabulary added;
  Surroundings around;
  SpecialTokens special;
  bool split_special = false;  // special tokens written out in a text are text
};

// Throws BadData naming the field that is wrong.
std::shared_ptr<const Tokenizer> make_json_tokenizer(TokenizerParts parts);

// Whether some component of that type is used anywhere below `description`.
bool uses(const Json& description, const std::string& type);

}  // namespace cmc::text
