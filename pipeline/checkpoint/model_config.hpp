#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::checkpoint {

enum class Activation { silu, gelu_tanh, gelu };

// Rope scaling as config.json's rope_scaling / rope_parameters names it.
struct RopeScaling {
  enum class Kind { none, linear, llama3, dynamic_ntk, yarn } kind = Kind::none;
  double factor = 1.0;
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // llama3
  int64_t original_positions = 0;                                  // llama3, yarn; dynamic: max_positions
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn: rotations that bound the ramp
  double attention_factor = 1.0;                                   // yarn: multiplies cos and sin
  bool truncate = true;                                            // yarn: ramp bounds rounded to whole dimensions
};

struct Rope {
  double theta = 10000.0;
  RopeScaling scaling;
};

// A decoder-only transformer as its parts; each architecture is a way to fill this struct from config.json.
struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM", …
  int64_t vocabulary = 0, hidden = 0, intermediate = 0, layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t max_positions = 0;
  double norm_epsilon = 1e-5;
  double initializer_range = 0.02;  // standard deviation of random weights
  bool norm_adds_one = false;       // Gemma: weight + 1
  bool qk_norm = false;             // Gemma 3: RMSNorm on each head of q and k
  bool post_norms = false;          // Gemma: norms after attention and after the MLP too
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tied_output = false;
  double embedding_scale = 1.0;    // Gemma: sqrt(hidden)
  double attention_scale = 0.0;    // multiplies q·k; head_dim^-0.5 unless the config says otherwise
  double final_softcap = 0.0;      // 0: none
  double attention_softcap = 0.0;  // 0: none
  Activation activation = Activation::silu;
  Rope rope, local_rope;      // local_rope: sliding-window layers
  int64_t window = 0;         // 0: none
  std::vector<bool> sliding;  // [layers]: layer sees only the last `window` positions
  int32_t begin_token = -1, end_token = -1;
  int32_t padding_token = -1;       // its input embedding gets no gradient, as in transformers; -1: none
  std::vector<int32_t> end_tokens;  // all that end a generation
  Json source;                      // config.json as read: saved again with the weights
};

// Reads folder/config.json (and generation_config.json for end tokens). Throws MissingInput or BadData naming file and
// field; an unknown architecture names the known ones.
ModelConfig read_model_config(const std::filesystem::path& folder);
ModelConfig parse_model_config(const Json& config, const std::string& where);

}  // namespace cmc::checkpoint
