#include "pipeline/checkpoint/alibi.hpp"
#include "pipeline/checkpoint/family.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::checkpoint {

// MosaicML 2023: ALiBi and no biases at all. Only what transformers' own class computes.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(
      fields,
      {.tied = true, .epsilon = 1e-5, .widening = 4, .own_head_dim = false, .epsilon_key = "layer_norm_epsilon"});
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.intermediate = 4 * config.hidden;
  config.norm.bias = false;
  config.gated = false;
  config.activation = Activation::gelu;
  config.rotary.count = 0;
  if (fields.has("attn_config")) {
    const ConfigFields attention = fields.object("attn_config");
    if (attention.text_or("attn_type", "multihead_attention") != "multihead_attention")
      attention.fail("attn_type", "is not multihead_attention", "no other is known for MPT");
    if (attention.flag_or("qk_ln", false)) attention.fail("qk_ln", "is set, which transformers does not compute", "");
    if (attention.flag_or("prefix_lm", false))
      attention.fail("prefix_lm", "makes this no decoder of the left alone", "");
    config.clip = attention.number_or("clip_qkv", 0.0, 0.0, 1e9);
    config.attention_scale = attention.number_or("softmax_scale", config.attention_scale, 0.0, 1e9);
    if (attention.number_or("alibi_bias_max", 8.0, 1e-6, 1e6) != 8.0)
      log_warning_once(attention.where(), ": alibi_bias_max is read as 8, as transformers does");
  }
  // transformers builds the bias whatever `alibi` says.
  config.alibi = {alibi_slopes(config.heads)};
  TensorNames& names = config.names;
  names.base = "transformer.";
  names.embedding = "transformer.wte";
  names.layers = "transformer.blocks.";
  names.attention_norm = "norm_1";
  names.joined = "attn.Wqkv";
  names.attention_output = "attn.out_proj";
  names.mlp_norm = "norm_2";
  names.up = "ffn.up_proj";
  names.down = "ffn.down_proj";
  names.final_norm = "transformer.norm_f";
  return config;
}

const Family family::mpt = {"mpt", "MptForCausalLM", read};

}  // namespace cmc::checkpoint
