#pragma once
#include <cstdint>
#include <string>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::checkpoint {

// Range-checked reading of one config.json object. Every error is BadData "file: field what (remedy)".
class ConfigFields {
 public:
  ConfigFields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  bool has(const std::string& key) const;  // present and not null
  int64_t integer(const std::string& key, int64_t low, int64_t high) const;
  int64_t integer_or(const std::string& key, int64_t otherwise, int64_t low, int64_t high) const;
  double number_or(const std::string& key, double otherwise, double low, double high) const;
  bool flag_or(const std::string& key, bool otherwise) const;
  std::string text_or(const std::string& key, const std::string& otherwise) const;
  ConfigFields object(const std::string& key) const;  // a nested object, with its own name in errors

  const Json& json() const { return object_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& remedy) const;

 private:
  const Json& object_;
  std::string where_;
};

// What all architectures share: sizes, heads, norm, bias, initialisation, begin and end tokens, default attention
// scale. `tied` is the architecture's default for tie_word_embeddings.
ModelConfig read_common_fields(const ConfigFields& fields, bool tied);

Activation read_activation(const ConfigFields& fields, const std::string& key);

// Flat rope settings: transformers 5 `rope_parameters`, or the older `rope_theta` + `rope_scaling`.
Rope read_rope(const ConfigFields& fields, double default_theta, int64_t max_positions);

// Settings of one rope object ({"rope_type", "rope_theta", "factor", …}).
Rope read_rope_object(const ConfigFields& rope, double default_theta, int64_t max_positions);

// The token or tokens under `key` (an id or a list of ids), each inside the vocabulary.
std::vector<int32_t> read_tokens(const ConfigFields& fields, const std::string& key, int64_t vocabulary);

}  // namespace cmc::checkpoint
