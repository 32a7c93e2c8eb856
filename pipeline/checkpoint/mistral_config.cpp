#include "pipeline/checkpoint/architectures.hpp"

namespace cmc::checkpoint {

// Llama with a sliding window on every layer. A missing sliding_window means 4,096, an explicit null means none.
ModelConfig read_mistral(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, false);
  config.attention_bias = config.mlp_bias = false;
  config.activation = read_activation(fields, "hidden_act");
  config.rope = read_rope(fields, 10000.0, config.max_positions);
  config.local_rope = config.rope;
  const bool none = fields.json().contains("sliding_window") && !fields.has("sliding_window");
  config.window = none ? 0 : fields.integer_or("sliding_window", 4096, 1, int64_t{1} << 32);
  config.sliding.assign(static_cast<size_t>(config.layers), config.window > 0);
  return config;
}

}  // namespace cmc::checkpoint
