#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Yang et al. 2024: Llama with biases on queries, keys and values; windows, where used, on the upper layers.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 32});
  config.query_key_value_bias = true;
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = fields.flag_or("use_sliding_window", false) ? read_window(fields, "sliding_window", 4096) : 0;
  const int64_t first = fields.integer_or("max_window_layers", 28, 0, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return config.window > 0 && layer >= first; });
  return config;
}

const Family family::qwen2 = {"qwen2", "Qwen2ForCausalLM", read};

}  // namespace cmc::checkpoint
