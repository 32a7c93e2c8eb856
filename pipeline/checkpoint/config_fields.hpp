#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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
  bool flag_or(const std::string& key, bool otherwise) const;  // null: false, as to Python
  std::string text_or(const std::string& key, const std::string& otherwise) const;
  ConfigFields object(const std::string& key) const;  // a nested object, with its own name in errors

  const Json& json() const { return object_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& remedy) const;

 private:
  const Json& object_;
  std::string where_;
};

// What a family takes where config.json is silent (the defaults of its class in transformers).
struct Defaults {
  bool tied = false;      // tie_word_embeddings
  double epsilon = 1e-6;  // of the norms
  int64_t head_dim = 0;   // 0: hidden size / heads
  int64_t kv_heads = 0;   // 0: as many as query heads
  int64_t widening = 0;   // the MLP's width in hidden sizes; 0: config.json must say it
  int32_t padding_token = -1;
  int64_t positions = 2048;
  bool own_head_dim = true;  // reads head_dim
  // What the class calls the norms' epsilon and the MLP's width; another family's name beside it counts for nothing.
  const char* epsilon_key = "rms_norm_eps";
  const char* width_key = "intermediate_size";
};

// What all families share: sizes, heads, norm's epsilon, initialisation, begin, end and padding tokens, attention
// scale. Sizes are found under any of the names that families give them. All layers are of one kind, heads turn whole.
ModelConfig read_common_fields(const ConfigFields& fields, const Defaults& defaults = {});

// The activation that `key` names, `otherwise` where it names none. Throws BadData naming the known ones.
Activation read_activation(const ConfigFields& fields, const std::string& key, const std::string& otherwise = "silu");

// Sets rope, local_rope and how much of a head turns: from transformers 5 `rope_parameters`, or the older `rope_theta`
// and `rope_scaling`, one for all layers or by layer type ("full_attention", "sliding_attention").
struct RopeDefaults {
  double theta = 10000.0;
  double local_theta = 0.0;  // of sliding layers, where settings are given by layer type; 0: theta
  double part = 1.0;         // of a head that turns (partial_rotary_factor)
  bool reads_part = false;   // config.json may say it; in other families another part than all is refused
};
void read_rope(const ConfigFields& fields, ModelConfig& config, const RopeDefaults& defaults = {});

// Which layers see only the window: `layer_types`, or without it what `otherwise` says of a layer's number.
void read_sliding_layers(const ConfigFields& fields, ModelConfig& config,
                         const std::function<bool(int64_t layer)>& otherwise);

// The window of `key` positions; null: none; `otherwise` where config.json has no such key.
int64_t read_window(const ConfigFields& fields, const std::string& key, int64_t otherwise);

// A list under `key` of one whole number (or flag) a layer.
std::vector<int64_t> read_layer_numbers(const ConfigFields& fields, const std::string& key, int64_t layers);

// LayerNorm in place of RMSNorm, everywhere: with weight and bias.
void use_layer_norm(ModelConfig& config);

// The token or tokens under `key` (an id or a list of ids). Those outside the vocabulary are left out: no text holds
// them.
std::vector<int32_t> read_tokens(const ConfigFields& fields, const std::string& key, int64_t vocabulary);

}  // namespace cmc::checkpoint
