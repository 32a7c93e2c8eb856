#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Hugging Face 2025: Llama of which every fourth layer does not turn.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.tied = true, .kv_heads = 4, .padding_token = 128004});
  read_attention_bias(fields, config);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.theta = 2e6});
  const int64_t interval = fields.integer_or("no_rope_layer_interval", 4, 1, 1 << 20);
  std::vector<int64_t> rotates(config.kinds.size());
  for (size_t layer = 0; layer < rotates.size(); ++layer)
    rotates[layer] = (static_cast<int64_t>(layer) + 1) % interval != 0;
  if (fields.has("no_rope_layers")) rotates = read_layer_numbers(fields, "no_rope_layers", config.layers);
  config.window = fields.flag_or("use_sliding_window", false) ? read_window(fields, "sliding_window", 0) : 0;
  read_sliding_layers(fields, config,
                      [&](int64_t layer) { return config.window > 0 && rotates[static_cast<size_t>(layer)] == 0; });
  for (size_t layer = 0; layer < rotates.size(); ++layer) config.kinds[layer].rotates = rotates[layer] != 0;
  return config;
}

const Family family::smollm3 = {"smollm3", "SmolLM3ForCausalLM", read};

}  // namespace cmc::checkpoint
