#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Arcee AI 2025: Llama with an ungated MLP of squared ReLU.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5});
  read_attention_bias(fields, config);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.gated = false;
  config.activation = read_activation(fields, "hidden_act", "relu2");
  read_rope(fields, config);
  return config;
}

const Family family::arcee = {"arcee", "ArceeForCausalLM", read};

}  // namespace cmc::checkpoint
