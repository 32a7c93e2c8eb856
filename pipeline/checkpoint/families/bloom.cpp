#include "pipeline/checkpoint/alibi.hpp"
#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Le Scao et al. 2022: ALiBi, LayerNorm also on the embedding.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(
      fields,
      {.tied = true, .epsilon = 1e-5, .widening = 4, .own_head_dim = false, .epsilon_key = "layer_norm_epsilon"});
  if (fields.flag_or("slow_but_exact", false) && fields.integer_or("pretraining_tp", 1, 1, 1 << 20) > 1)
    fields.fail("slow_but_exact", "sums in the slices of its pre-training", "set it to false");
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.intermediate = 4 * config.hidden;
  config.residual_is_normed = fields.flag_or("apply_residual_connection_post_layernorm", false);
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = true;
  config.gated = false;
  config.activation = Activation::gelu_tanh;
  config.rotary.count = 0;
  config.alibi = {alibi_slopes(config.heads)};
  name_as_bloom(config.names);
  config.names.embedding_norm = "transformer.word_embeddings_layernorm";
  return config;
}

const Family family::bloom = {"bloom", "BloomForCausalLM", read};

}  // namespace cmc::checkpoint
