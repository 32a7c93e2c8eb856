#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Mistral with windows by layer.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 8});
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = read_window(fields, "sliding_window", 4096);
  read_sliding_layers(fields, config, [&](int64_t) { return config.window > 0; });
  return config;
}

const Family family::ministral = {"ministral", "MinistralForCausalLM", read};

}  // namespace cmc::checkpoint
