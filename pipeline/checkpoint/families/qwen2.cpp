#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Yang et al. 2024: Llama with biases on queries, keys and values; windows, where used, on the upper layers.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 32});
  config.query_key_value_bias = true;
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  read_window_above(fields, config);
  return config;
}

const Family family::qwen2 = {"qwen2", "Qwen2ForCausalLM", read};

}  // namespace cmc::checkpoint
