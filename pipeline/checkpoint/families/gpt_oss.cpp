#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// OpenAI 2025: experts, a window on every other layer, and a learned score of each head that no value answers to.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.epsilon = 1e-5, .head_dim = 64, .kv_heads = 8, .positions = 131072});
  config.norm.rounds_last = true;
  config.query_key_value_bias = config.attention_output_bias = fields.flag_or("attention_bias", true);
  config.sinks = true;
  Json json = fields.json();
  if (!fields.has("rope_parameters") && !fields.has("rope_scaling")) {
    json["rope_parameters"] = {{"rope_type", "yarn"}, {"factor", 32.0},    {"beta_fast", 32.0},
                               {"beta_slow", 1.0},    {"truncate", false}, {"original_max_position_embeddings", 4096}};
  }
  read_rope({json, fields.where()}, config, {.theta = 150000.0});
  config.window = read_window(fields, "sliding_window", 128);
  read_sliding_layers(fields, config, [](int64_t layer) { return layer % 2 == 0; });
  for (LayerKind& kind : config.kinds) kind.experts = true;
  Experts& experts = config.experts;
  experts.count = fields.integer_or("num_local_experts", 128, 1, 1 << 14);
  experts.active = fields.integer_or("num_experts_per_tok", 4, 1, experts.count);
  experts.intermediate = config.intermediate;
  experts.router = Experts::Router::top_softmax;
  experts.biases = true;
  experts.limit = fields.number_or("swiglu_limit", 7.0, 1e-6, 1e9);
  experts.alpha = fields.number_or("swiglu_alpha", 1.702, -1e9, 1e9);
  config.names.router = "mlp.router";
  config.names.stacked_gate_up = "mlp.experts.gate_up_proj";
  config.names.stacked_down = "mlp.experts.down_proj";
  return config;
}

const Family family::gpt_oss = {"gpt_oss", "GptOssForCausalLM", read};

}  // namespace cmc::checkpoint
