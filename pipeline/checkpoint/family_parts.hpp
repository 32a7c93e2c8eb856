#pragma once
#include "pipeline/checkpoint/config_fields.hpp"

namespace cmc::checkpoint {

// What several families share.

// GPT-2's parts and names: learned positions, LayerNorm, an ungated MLP, everything with biases.
ModelConfig read_gpt2_fields(const ConfigFields& fields, const std::string& activation);
void name_as_gpt2(TensorNames& names);

// BLOOM's names, which Falcon took over.
void name_as_bloom(TensorNames& names);

// `attention_bias`, of all four projections.
void read_attention_bias(const ConfigFields& fields, ModelConfig& config);

// `sliding_window` on every layer.
void read_window_of_all(const ConfigFields& fields, ModelConfig& config, int64_t otherwise);

// Qwen 2 and 3: `sliding_window` on the layers from `max_window_layers` on, where use_sliding_window is set.
void read_window_above(const ConfigFields& fields, ModelConfig& config);

// Gemma's norms, its scaled embedding and tied output; refuses an encoder. `kv_heads`: where config.json is silent.
ModelConfig read_gemma_fields(const ConfigFields& fields, int64_t kv_heads);

ModelConfig read_olmo2_fields(const ConfigFields& fields);
ModelConfig read_cohere_fields(const ConfigFields& fields);
ModelConfig read_glm_fields(const ConfigFields& fields);

// Experts as Qwen's configurations describe them: in which layers, how many, and how they are weighed.
void read_qwen_experts(const ConfigFields& fields, ModelConfig& config);

// Norms before and after each block (Gemma 2 and 3), or only after (OLMo 2).
void use_norms_on_both_sides(ModelConfig& config);
void use_norms_after_blocks(ModelConfig& config);

}  // namespace cmc::checkpoint
