#include <cmath>

#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

namespace {

void read_latent(const ConfigFields& fields, ModelConfig& config) {
  const auto size = [&](const char* key, int64_t otherwise) { return fields.integer_or(key, otherwise, 1, 1 << 18); };
  const bool plain_queries = fields.json().contains("q_lora_rank") && !fields.has("q_lora_rank");
  config.latent = {plain_queries ? 0 : size("q_lora_rank", 1536), size("kv_lora_rank", 512),
                   size("qk_nope_head_dim", 128)};
  const int64_t rotary = size("qk_rope_head_dim", 64);
  if (rotary % 2 != 0) fields.fail("qk_rope_head_dim", "must be even", "");
  config.kv_heads = config.heads;
  config.head_dim = config.latent.plain + rotary;
  if (config.head_dim % 2 != 0) fields.fail("qk_nope_head_dim", "must be even", "");
  config.value_dim = size("v_head_dim", 128);
  if (config.value_dim > config.head_dim)
    fields.fail("v_head_dim", "is larger than a query head", "no such model is known");
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  read_rope(fields, config);
  config.rotary = {config.latent.plain, rotary, fields.flag_or("rope_interleave", true)};
}

void read_experts(const ConfigFields& fields, ModelConfig& config) {
  Experts& experts = config.experts;
  experts.count = fields.integer_or("n_routed_experts", 256, 1, 1 << 14);
  experts.active = fields.integer_or("num_experts_per_tok", 8, 1, experts.count);
  experts.intermediate = fields.integer_or("moe_intermediate_size", 2048, 1, 1 << 20);
  experts.shared_intermediate = fields.integer_or("n_shared_experts", 1, 0, 1 << 10) * experts.intermediate;
  experts.router = Experts::Router::sigmoid_group;
  experts.groups = fields.integer_or("n_group", 8, 1, experts.count);
  experts.active_groups = fields.integer_or("topk_group", 4, 1, experts.groups);
  experts.normalised = fields.flag_or("norm_topk_prob", true);
  experts.scale = fields.number_or("routed_scaling_factor", 2.5, 0.0, 1e9);
  if (experts.count % experts.groups != 0 || experts.count / experts.groups < 2)
    fields.fail("n_group", "does not deal out n_routed_experts in groups of two or more", "");
  if (experts.active > experts.count / experts.groups * experts.active_groups)
    fields.fail("num_experts_per_tok", "is more than the experts of topk_group groups", "");
  const int64_t dense = fields.integer_or("first_k_dense_replace", 3, 0, 1 << 20);
  for (int64_t layer = dense; layer < config.layers; ++layer) config.kinds[static_cast<size_t>(layer)].experts = true;
  config.names.router_correction = "mlp.gate.e_score_correction_bias";
  config.names.shared_expert = "mlp.shared_experts";
}

// DeepSeek-AI 2024: latent attention, and experts chosen by groups.
ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.own_head_dim = false});
  read_latent(fields, config);
  config.attention_output_bias = config.query_key_value_bias = fields.flag_or("attention_bias", false);
  config.activation = read_activation(fields, "hidden_act");
  const RopeScaling& scaling = config.rope.scaling;
  const char* key = fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const double all = fields.has(key) ? fields.object(key).number_or("mscale_all_dim", 0.0, 0.0, 1e6) : 0.0;
  if (scaling.kind != RopeScaling::Kind::none && all != 0.0 && scaling.factor > 1.0)
    config.attention_scale *= std::pow(0.1 * all * std::log(scaling.factor) + 1.0, 2.0);
  read_experts(fields, config);
  return config;
}

}  // namespace

const Family family::deepseek_v3 = {"deepseek_v3", "DeepseekV3ForCausalLM", read};

}  // namespace cmc::checkpoint
