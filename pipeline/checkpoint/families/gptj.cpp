#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Wang & Komatsuzaki 2021: attention and MLP side by side on one LayerNorm, neighbours turn together.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5,
                                                   .widening = 4,
                                                   .own_head_dim = false,
                                                   .epsilon_key = "layer_norm_epsilon",
                                                   .width_key = "n_inner"});
  use_layer_norm(config);
  config.residual = Residual::parallel;
  config.mlp_bias = config.output_bias = true;
  config.gated = false;
  config.activation = read_activation(fields, "activation_function", "gelu_new");
  const int64_t rotary =
      fields.integer_or("rotary_dim", fields.json().contains("rotary_dim") ? config.head_dim : 64, 2, config.head_dim);
  if (rotary % 2 != 0) fields.fail("rotary_dim", "must be even", "");
  config.rotary = {0, rotary, true};
  name_as_gpt2(config.names);
  config.names.joined = config.names.positions = config.names.mlp_norm = "";
  config.names.query = "attn.q_proj";
  config.names.key = "attn.k_proj";
  config.names.value = "attn.v_proj";
  config.names.attention_output = "attn.out_proj";
  config.names.up = "mlp.fc_in";
  config.names.down = "mlp.fc_out";
  return config;
}

const Family family::gptj = {"gptj", "GPTJForCausalLM", read};

}  // namespace cmc::checkpoint
