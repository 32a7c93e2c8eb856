#include "pipeline/checkpoint/family_parts.hpp"

#include <cmath>

namespace cmc::checkpoint {

ModelConfig read_gpt2_fields(const ConfigFields& fields, const std::string& activation) {
  ModelConfig config = read_common_fields(fields, {.tied = true,
                                                   .epsilon = 1e-5,
                                                   .widening = 4,
                                                   .positions = 1024,
                                                   .own_head_dim = false,
                                                   .epsilon_key = "layer_norm_epsilon",
                                                   .width_key = "n_inner"});
  use_layer_norm(config);
  config.kv_heads = config.heads;
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "activation_function", activation);
  config.rotary.count = 0;
  config.learned_positions = config.max_positions;
  if (!fields.flag_or("scale_attn_weights", true)) config.attention_scale = 1.0;
  if (fields.flag_or("add_cross_attention", false))
    fields.fail("add_cross_attention", "makes this the decoder of a pair", "give a decoder-only model");
  name_as_gpt2(config.names);
  return config;
}

void name_as_gpt2(TensorNames& names) {
  names.base = "transformer.";
  names.embedding = "transformer.wte";
  names.positions = "transformer.wpe";
  names.layers = "transformer.h.";
  names.attention_norm = "ln_1";
  names.joined = "attn.c_attn";
  names.attention_output = "attn.c_proj";
  names.mlp_norm = "ln_2";
  names.up = "mlp.c_fc";
  names.down = "mlp.c_proj";
  names.final_norm = "transformer.ln_f";
}

void name_as_bloom(TensorNames& names) {
  names.base = "transformer.";
  names.embedding = "transformer.word_embeddings";
  names.layers = "transformer.h.";
  names.joined = "self_attention.query_key_value";
  names.joined_heads = JoinedHeads::groups;
  names.attention_output = "self_attention.dense";
  names.up = "mlp.dense_h_to_4h";
  names.down = "mlp.dense_4h_to_h";
  names.final_norm = "transformer.ln_f";
}

void read_attention_bias(const ConfigFields& fields, ModelConfig& config) {
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", false);
}

void read_window_of_all(const ConfigFields& fields, ModelConfig& config, int64_t otherwise) {
  config.window = read_window(fields, "sliding_window", otherwise);
  for (LayerKind& kind : config.kinds) kind.sliding = config.window > 0;
}

void read_window_above(const ConfigFields& fields, ModelConfig& config) {
  config.window = fields.flag_or("use_sliding_window", false) ? read_window(fields, "sliding_window", 4096) : 0;
  const int64_t first = fields.integer_or("max_window_layers", 28, 0, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return config.window > 0 && layer >= first; });
}

ModelConfig read_gemma_fields(const ConfigFields& fields, int64_t kv_heads) {
  if (fields.flag_or("use_bidirectional_attention", false)) {
    fields.fail("use_bidirectional_attention", "makes this an encoder", "give a decoder-only model");
  }
  ModelConfig config =
      read_common_fields(fields, {.tied = true, .head_dim = 256, .kv_heads = kv_heads, .padding_token = 0});
  config.norm.adds_one = config.norm.rounds_last = true;
  config.head_norm_kind = config.norm;
  read_attention_bias(fields, config);
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  return config;
}

ModelConfig read_olmo2_fields(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .padding_token = 1});
  config.norm.rounds_last = true;
  config.head_norm_kind = config.norm;
  config.head_norm = HeadNorm::whole;
  read_attention_bias(fields, config);
  config.activation = read_activation(fields, "hidden_act");
  use_norms_after_blocks(config);
  return config;
}

ModelConfig read_cohere_fields(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.tied = true, .epsilon = 1e-5, .padding_token = 0, .epsilon_key = "layer_norm_eps"});
  use_layer_norm(config);
  config.norm.bias = config.head_norm_kind.bias = false;
  config.residual = Residual::parallel;
  read_attention_bias(fields, config);
  config.activation = read_activation(fields, "hidden_act");
  config.rotary.pairs = true;
  config.output_scale = fields.number_or("logit_scale", 0.0625, -1e9, 1e9);
  config.names.mlp_norm = "";
  return config;
}

ModelConfig read_glm_fields(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.epsilon = 1.5625e-7, .head_dim = 128, .kv_heads = 2, .padding_token = 151329});
  config.query_key_value_bias = fields.flag_or("attention_bias", true);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.part = 0.5, .reads_part = true});
  config.rotary.pairs = true;
  config.names.gate_up = "mlp.gate_up_proj";
  return config;
}

void read_qwen_experts(const ConfigFields& fields, ModelConfig& config) {
  Experts& experts = config.experts;
  const char* key = fields.has("num_local_experts") ? "num_local_experts" : "num_experts";
  experts.count = fields.integer(key, 0, 1 << 14);
  if (experts.count == 0) return;
  experts.active = fields.integer("num_experts_per_tok", 1, experts.count);
  experts.intermediate = fields.integer("moe_intermediate_size", 1, 1 << 20);
  experts.normalised = fields.flag_or("norm_topk_prob", false);
  const int64_t step = fields.integer_or("decoder_sparse_step", 1, 1, 1 << 20);
  for (int64_t layer = 0; layer < config.layers; ++layer)
    config.kinds[static_cast<size_t>(layer)].experts = (layer + 1) % step == 0;
  if (!fields.has("mlp_only_layers")) return;
  for (const Json& layer : fields.json().at("mlp_only_layers")) {
    if (!layer.is_number_integer()) fields.fail("mlp_only_layers", "is no list of layers", "");
    const int64_t number = layer.get<int64_t>();
    if (number >= 0 && number < config.layers) config.kinds[static_cast<size_t>(number)].experts = false;
  }
}

void use_norms_on_both_sides(ModelConfig& config) {
  config.names.after_attention_norm = "post_attention_layernorm";
  config.names.mlp_norm = "pre_feedforward_layernorm";
  config.names.after_mlp_norm = "post_feedforward_layernorm";
}

void use_norms_after_blocks(ModelConfig& config) {
  config.names.attention_norm = config.names.mlp_norm = "";
  config.names.after_attention_norm = "post_attention_layernorm";
  config.names.after_mlp_norm = "post_feedforward_layernorm";
}

}  // namespace cmc::checkpoint
