#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// ByteDance Seed 2025: Llama with biases on queries, keys and values.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.head_dim = 128, .kv_heads = 8, .padding_token = 1});
  config.query_key_value_bias = fields.flag_or("attention_bias", true);
  config.attention_output_bias = fields.flag_or("attention_out_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  return config;
}

const Family family::seed_oss = {"seed_oss", "SeedOssForCausalLM", read};

}  // namespace cmc::checkpoint
