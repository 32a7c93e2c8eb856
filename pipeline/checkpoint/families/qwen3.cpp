#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Yang et al. 2025: Llama with a norm on each head; windows, where used, on the upper layers.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.head_dim = 128, .kv_heads = 32});
  config.head_norm = HeadNorm::shared;
  read_attention_bias(fields, config);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  read_window_above(fields, config);
  return config;
}

const Family family::qwen3 = {"qwen3", "Qwen3ForCausalLM", read};

}  // namespace cmc::checkpoint
