#pragma once
// Small configurations of every kind of attention, for tests that need no files.
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

inline checkpoint::ModelConfig small_llama(const Json& changes = Json::object()) {
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"vocab_size", 50},
                 {"hidden_size", 32},
                 {"intermediate_size", 48},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 8},
                 {"max_position_embeddings", 64},
                 {"initializer_range", 0.2}};
  config.update(changes);
  return checkpoint::parse_model_config(config, "config.json");
}

inline checkpoint::ModelConfig small_gemma(const Json& changes = Json::object()) {
  Json config = {{"architectures", {"Gemma3ForCausalLM"}},
                 {"sliding_window", 7},
                 {"query_pre_attn_scalar", 24},
                 {"num_hidden_layers", 3},
                 {"hidden_activation", "gelu_pytorch_tanh"},
                 {"layer_types", {"sliding_attention", "full_attention", "sliding_attention"}}};
  config.update(changes);
  return small_llama(config);
}

// Families whose parts differ from Llama's: norms, residuals, positions, projections, experts.
inline std::vector<std::pair<std::string, checkpoint::ModelConfig>> every_family() {
  const Json gpt2 = {{"n_embd", 32}, {"n_head", 4}, {"n_layer", 2}, {"max_position_embeddings", 128}};
  const std::vector<std::tuple<std::string, std::string, Json>> changes = {
      {"phi", "PhiForCausalLM", {{"qk_layernorm", true}}},
      {"gpt2", "GPT2LMHeadModel", gpt2},
      {"opt after",
       "OPTForCausalLM",
       {{"ffn_dim", 40},
        {"do_layer_norm_before", false},
        {"word_embed_proj_dim", 24},
        {"max_position_embeddings", 128}}},
      {"olmo2", "Olmo2ForCausalLM", Json::object()},
      {"stablelm", "StableLmForCausalLM", {{"qk_layernorm", true}, {"use_qkv_bias", true}}},
      {"falcon alibi",
       "FalconForCausalLM",
       {{"alibi", true}, {"parallel_attn", false}, {"multi_query", false}, {"ffn_hidden_size", 40}}},
      {"bloom", "BloomForCausalLM", {{"apply_residual_connection_post_layernorm", true}}},
      {"cohere", "CohereForCausalLM", {{"use_qk_norm", true}}},
      {"granite", "GraniteForCausalLM", {{"residual_multiplier", 0.4}, {"attention_multiplier", 0.2}}},
      {"smollm3", "SmolLM3ForCausalLM", {{"no_rope_layer_interval", 2}}},
      {"glm4", "Glm4ForCausalLM", Json::object()},
      {"qwen2 moe",
       "Qwen2MoeForCausalLM",
       {{"num_experts", 5},
        {"num_experts_per_tok", 2},
        {"moe_intermediate_size", 24},
        {"shared_expert_intermediate_size", 40}}},
      {"gpt-oss", "GptOssForCausalLM", {{"num_local_experts", 5}, {"num_experts_per_tok", 2}, {"sliding_window", 7}}},
      {"deepseek",
       "DeepseekV3ForCausalLM",
       {{"n_routed_experts", 8},
        {"n_group", 2},
        {"topk_group", 1},
        {"num_experts_per_tok", 2},
        {"moe_intermediate_size", 24},
        {"kv_lora_rank", 12},
        {"q_lora_rank", 16},
        {"qk_nope_head_dim", 16},
        {"qk_rope_head_dim", 8},
        {"v_head_dim", 12},
        {"first_k_dense_replace", 1}}},
      {"longrope",
       "Phi3ForCausalLM",
       {{"original_max_position_embeddings", 48},
        {"rope_scaling",
         {{"type", "longrope"}, {"short_factor", {1.0, 1.1, 1.2, 1.3}}, {"long_factor", {1.5, 2.0, 3.0, 4.0}}}}}}};
  std::vector<std::pair<std::string, checkpoint::ModelConfig>> families;
  for (const auto& [name, architecture, settings] : changes) {
    Json config = settings;
    config["architectures"] = {architecture};
    families.emplace_back(name, small_llama(config));
  }
  return families;
}

// By name.
inline std::vector<std::pair<std::string, checkpoint::ModelConfig>> every_attention() {
  std::vector<std::pair<std::string, checkpoint::ModelConfig>> kinds = {
      {"grouped", small_llama()},
      {"every head", small_llama({{"num_key_value_heads", 4}})},
      {"one key head, bias", small_llama({{"num_key_value_heads", 1}, {"attention_bias", true}, {"mlp_bias", true}})},
      {"odd heads", small_llama({{"head_dim", 10}, {"intermediate_size", 45}})},
      {"window", small_llama({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 9}})},
      {"gemma", small_gemma()}};
  auto capped = small_llama();
  capped.attention_softcap = 2.0;
  kinds.emplace_back("soft cap", capped);
  auto capped_window = small_gemma();
  capped_window.attention_softcap = 2.0;
  kinds.emplace_back("soft cap, window", capped_window);
  const std::vector<std::pair<std::string, Json>> scalings = {
      {"linear", {{"rope_type", "linear"}, {"factor", 4.0}}},
      {"dynamic", {{"rope_type", "dynamic"}, {"factor", 2.0}}},
      {"llama3",
       {{"rope_type", "llama3"},
        {"factor", 8.0},
        {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0},
        {"original_max_position_embeddings", 16}}},
      {"yarn", {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}}}};
  for (const auto& [name, scaling] : scalings) kinds.emplace_back(name, small_llama({{"rope_scaling", scaling}}));
  for (const auto& [name, config] : every_family()) kinds.emplace_back(name, config);
  return kinds;
}

}  // namespace cmc::model
