#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Qwen 3 with experts; windows, where used, on every layer.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 4});
  config.head_norm = HeadNorm::shared;
  read_attention_bias(fields, config);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = fields.flag_or("use_sliding_window", false) ? read_window(fields, "sliding_window", 4096) : 0;
  for (LayerKind& kind : config.kinds) kind.sliding = config.window > 0;
  read_qwen_experts(fields, config);
  return config;
}

const Family family::qwen3_moe = {"qwen3_moe", "Qwen3MoeForCausalLM", read};

}  // namespace cmc::checkpoint
