#include <cmath>

#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Kamath et al. 2025: Gemma 2 with a norm on each head instead of capped scores; layers with a window turn by a rope of
// their own. transformers reads attn_logit_softcapping but never applies it: weights were trained without.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_gemma_fields(fields, 4);
  use_norms_on_both_sides(config);
  config.head_norm = HeadNorm::shared;
  config.attention_scale = 1.0 / std::sqrt(fields.number_or("query_pre_attn_scalar", 256.0, 1e-6, 1e9));
  config.final_softcap = fields.number_or("final_logit_softcapping", 0.0, 0.0, 1e9);
  config.activation = read_activation(fields, "hidden_activation", "gelu_pytorch_tanh");
  read_rope(fields, config, {.theta = 1e6, .local_theta = 1e4});
  config.window = read_window(fields, "sliding_window", 4096);
  const int64_t pattern = fields.integer_or("sliding_window_pattern", 6, 1, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  return config;
}

const Family family::gemma3 = {"gemma3_text", "Gemma3ForCausalLM", read};

}  // namespace cmc::checkpoint
