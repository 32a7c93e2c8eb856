#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Baidu 2025: Llama whose neighbours turn together, with biases everywhere or nowhere.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config =
      read_common_fields(fields, {.tied = true, .epsilon = 1e-5, .head_dim = 128, .kv_heads = 2, .padding_token = 0});
  config.query_key_value_bias = config.attention_output_bias = config.mlp_bias = fields.flag_or("use_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config, {.theta = 5e5});
  config.rotary.pairs = true;
  return config;
}

const Family family::ernie4_5 = {"ernie4_5", "Ernie4_5ForCausalLM", read};

}  // namespace cmc::checkpoint
