#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Yang et al. 2025: Llama with a norm on each head; windows, where used, on the upper layers.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.head_dim = 128, .kv_heads = 32});
  config.head_norm = HeadNorm::shared;
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = fields.flag_or("use_sliding_window", false) ? read_window(fields, "sliding_window", 4096) : 0;
  const int64_t first = fields.integer_or("max_window_layers", 28, 0, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return config.window > 0 && layer >= first; });
  return config;
}

const Family family::qwen3 = {"qwen3", "Qwen3ForCausalLM", read};

}  // namespace cmc::checkpoint
