#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::text {

// One step from tokens to text, fed token by token: holds back only what later tokens can still change.
class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  virtual void push(std::string token, std::vector<std::string>& out) = 0;  // appends what is settled
  virtual void finish(std::vector<std::string>&) {}                         // appends the rest
};

// Makes fresh steps for each text.
using Decoder = std::vector<std::function<std::unique_ptr<DecoderStep>()>>;

// From the "decoder" of a tokenizer.json; null joins the tokens with spaces, as the tokenizers library does.
// Throws BadData naming the field for a component it does not know.
Decoder read_decoder(const Json& description, const std::string& where);

}  // namespace cmc::text
