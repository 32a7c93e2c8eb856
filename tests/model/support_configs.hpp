#pragma once
// Small configurations of every kind of attention, for tests that need no files.
#include <string>
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
  return kinds;
}

}  // namespace cmc::model
