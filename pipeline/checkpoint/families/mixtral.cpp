#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Jiang et al. 2024: Mistral with experts in every layer.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .kv_heads = 8});
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.theta = 1e6});
  config.window = read_window(fields, "sliding_window", 0);
  for (LayerKind& kind : config.kinds) kind = {.sliding = config.window > 0, .experts = true};
  config.experts.count = fields.integer_or("num_local_experts", 8, 1, 1 << 14);
  config.experts.active = fields.integer_or("num_experts_per_tok", 2, 1, config.experts.count);
  config.experts.intermediate = config.intermediate;
  config.experts.normalised = true;
  config.names.router = "block_sparse_moe.gate";
  config.names.expert = "block_sparse_moe.experts.";
  config.names.expert_gate = "w1";
  config.names.expert_up = "w3";
  config.names.expert_down = "w2";
  return config;
}

const Family family::mixtral = {"mixtral", "MixtralForCausalLM", read};

}  // namespace cmc::checkpoint
