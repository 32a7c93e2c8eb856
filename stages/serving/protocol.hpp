#pragma once
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "stages/serving/chat_writer.hpp"
#include "stages/serving/served_model.hpp"

namespace cmc::stages {

// The methods of `cmc serve` (docs/benchmarks.md): a batch of JSON requests each, answered in their order. Their errors
// are BadData naming the request and its field, and what the model and the chat template throw.
class Protocol {
 public:
  // `longest`: tokens that the model reads at once. `keep_on`: called often while the model computes.
  Protocol(ServedModel model, int64_t longest, ChatWriter chats, KeepOn keep_on);

  // What a client must know of the model before it asks.
  Json greeting() const;
  // Throws BadData naming the known methods.
  Json answers(const std::string& method, const Json& requests);

 private:
  using Method = Json (Protocol::*)(const Json& requests);
  struct NamedMethod;
  static const std::vector<NamedMethod>& methods();

  Json loglikelihood(const Json& requests);
  Json loglikelihood_rolling(const Json& requests);
  Json generate_until(const Json& requests);
  Json tokenize(const Json& requests);
  Json apply_chat_template(const Json& requests);
  Continuation continuation(const Json& request, const std::string& where) const;

  ServedModel model_;
  TextPairs pairs_;
  ChatWriter chats_;
  KeepOn keep_on_;
};

}  // namespace cmc::stages
