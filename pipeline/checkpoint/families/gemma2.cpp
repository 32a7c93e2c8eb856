#include <cmath>

#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Riviere et al. 2024: Gemma with norms on both sides of each block, soft caps, and a window on every other layer.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_gemma_fields(fields, 4);
  use_norms_on_both_sides(config);
  config.attention_scale = 1.0 / std::sqrt(fields.number_or("query_pre_attn_scalar", 256.0, 1e-6, 1e9));
  const auto cap = [&](const char* key, double otherwise) {
    const bool none = fields.json().contains(key) && !fields.has(key);
    return none ? 0.0 : fields.number_or(key, otherwise, 0.0, 1e9);
  };
  config.attention_softcap = cap("attn_logit_softcapping", 50.0);
  config.final_softcap = cap("final_logit_softcapping", 30.0);
  config.activation = read_activation(fields, "hidden_activation", "gelu_pytorch_tanh");
  read_rope(fields, config);
  config.window = read_window(fields, "sliding_window", 4096);
  read_sliding_layers(fields, config, [](int64_t layer) { return layer % 2 == 0; });
  return config;
}

const Family family::gemma2 = {"gemma2", "Gemma2ForCausalLM", read};

}  // namespace cmc::checkpoint
