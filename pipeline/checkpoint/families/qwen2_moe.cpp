#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Qwen 2 with experts, and one more that every token reads.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 16});
  config.query_key_value_bias = fields.flag_or("qkv_bias", true);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  const bool windows = fields.flag_or("use_sliding_window", false);
  config.window = windows ? read_window(fields, "sliding_window", 4096) : 0;
  const int64_t last = fields.integer_or("max_window_layers", 28, 0, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return windows && layer % 2 == 0 && layer < last; });
  read_qwen_experts(fields, config);
  config.experts.shared_intermediate = fields.integer_or("shared_expert_intermediate_size", 5632, 1, 1 << 20);
  config.names.shared_expert = "mlp.shared_expert";
  config.names.shared_expert_gate = "mlp.shared_expert_gate";
  return config;
}

const Family family::qwen2_moe = {"qwen2_moe", "Qwen2MoeForCausalLM", read};

}  // namespace cmc::checkpoint
