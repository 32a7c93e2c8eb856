#include <cmath>

#include "pipeline/checkpoint/architectures.hpp"

namespace cmc::checkpoint {

namespace {

// Either layer_types, or every sliding_window_pattern-th layer sees everything (6 unless given).
std::vector<bool> read_sliding_layers(const ConfigFields& fields, int64_t layers) {
  std::vector<bool> sliding;
  if (!fields.has("layer_types")) {
    const char* key = fields.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
    const int64_t pattern = fields.integer_or(key, 6, 1, 1 << 20);
    for (int64_t layer = 0; layer < layers; ++layer) sliding.push_back((layer + 1) % pattern != 0);
    return sliding;
  }
  const Json& types = fields.json().at("layer_types");
  if (!types.is_array() || static_cast<int64_t>(types.size()) != layers) {
    fields.fail("layer_types", "does not list one type a layer", "expected " + std::to_string(layers) + " entries");
  }
  for (const Json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      fields.fail("layer_types", "names an unknown type (" + type.dump() + ")",
                  "known: sliding_attention, full_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

// transformers 5: rope_parameters by layer type; before: rope_theta and rope_scaling for full layers,
// rope_local_base_freq for sliding ones.
void read_ropes(const ConfigFields& fields, ModelConfig& config) {
  const double global_theta = fields.number_or("rope_theta", 1e6, 1.0 + 1e-6, 1e15);
  const double local_theta = fields.number_or("rope_local_base_freq", 1e4, 1.0 + 1e-6, 1e15);
  config.rope.theta = global_theta;
  config.local_rope.theta = local_theta;
  if (fields.has("rope_parameters")) {
    const ConfigFields ropes = fields.object("rope_parameters");
    if (ropes.has("full_attention")) {
      config.rope = read_rope_object(ropes.object("full_attention"), global_theta, config.max_positions);
    }
    if (ropes.has("sliding_attention")) {
      config.local_rope = read_rope_object(ropes.object("sliding_attention"), local_theta, config.max_positions);
    }
  }
  if (fields.has("rope_scaling")) {
    config.rope = read_rope_object(fields.object("rope_scaling"), config.rope.theta, config.max_positions);
  }
}

}  // namespace

ModelConfig read_gemma3(const ConfigFields& fields) {
  if (fields.flag_or("use_bidirectional_attention", false)) {
    fields.fail("use_bidirectional_attention", "makes this an encoder", "give a decoder-only model");
  }
  ModelConfig config = read_common_fields(fields, true);
  config.mlp_bias = false;
  if (!fields.json().contains("pad_token_id")) config.padding_token = 0;  // transformers' default for Gemma
  config.norm_adds_one = config.qk_norm = config.post_norms = true;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  config.attention_scale = 1.0 / std::sqrt(fields.number_or("query_pre_attn_scalar", 256.0, 1e-6, 1e9));
  config.final_softcap = fields.number_or("final_logit_softcapping", 0.0, 0.0, 1e9);
  // transformers reads attn_logit_softcapping but never applies it in Gemma 3; weights were trained without.
  config.activation =
      fields.has("hidden_activation") ? read_activation(fields, "hidden_activation") : Activation::gelu_tanh;
  read_ropes(fields, config);
  config.window = fields.integer_or("sliding_window", 4096, 1, int64_t{1} << 32);
  config.sliding = read_sliding_layers(fields, config.layers);
  return config;
}

}  // namespace cmc::checkpoint
