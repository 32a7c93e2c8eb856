#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/checkpoint/tensor_names.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::checkpoint {

enum class Activation { silu, gelu_tanh, gelu, gelu_quick, relu, relu_squared };

// A norm over the last dimension, computed in float32.
struct NormKind {
  bool centred = false;      // LayerNorm (Ba et al. 2016); else RMSNorm (Zhang & Sennrich 2019)
  bool weight = true;        // multiplies by a weight of each number …
  bool adds_one = false;     // … or by weight + 1 (Gemma, Nemotron)
  bool bias = false;         // then adds one
  bool rounds_last = false;  // RMSNorm: the weight multiplies in float32; else what was rounded to the input's type
  double epsilon = 1e-6;
};

// Which norm the heads of queries and keys get before their rotation.
enum class HeadNorm {
  none,
  shared,  // one weight of a head's size for all heads (Gemma 3, Qwen 3)
  own,     // a weight for each head (Cohere, StableLM)
  whole,   // over all heads together (OLMo 2)
};

// Rope scaling as config.json's rope_scaling / rope_parameters names it.
struct RopeScaling {
  enum class Kind { none, linear, llama3, dynamic_ntk, yarn, longrope } kind = Kind::none;
  double factor = 1.0;
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // llama3
  int64_t original_positions = 0;                                  // llama3, yarn, longrope; dynamic: max_positions
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn: rotations that bound the ramp
  double attention_factor = 1.0;                                   // yarn, longrope: multiplies cos and sin
  bool truncate = true;                                            // yarn: ramp bounds rounded to whole dimensions
  std::vector<double> short_factors, long_factors;  // longrope: of sequences up to original_positions, and longer ones
};

struct Rope {
  double theta = 10000.0;
  RopeScaling scaling;
};

// Which numbers of a query or key head turn together (Su et al. 2021).
struct RotaryLayout {
  int64_t first = 0, count = 0;  // numbers [first, first + count) of each head turn; count even, 0: none
  bool pairs = false;            // neighbours turn together (GPT-J); else the i-th of each half (GPT-NeoX, Llama)
};

// A bias of scores that grows with the key's position (ALiBi; Press et al. 2022).
struct Alibi {
  std::vector<double> slopes;  // [heads]; empty: none
  bool in_bfloat16 = false;    // slopes and their products are rounded (Falcon)
  double scale = 1.0;          // multiplies the products
};

// A layer's MLP as one of several (mixture of experts; Shazeer et al. 2017).
struct Experts {
  enum class Router {
    softmax,       // of all scores, then the largest (Mixtral, Qwen)
    top_softmax,   // the largest scores, then their softmax (gpt-oss)
    sigmoid_group  // sigmoids; the largest of the best groups, chosen with a bias (DeepSeek-V3)
  };
  int64_t count = 0, active = 0;  // 0: none
  int64_t intermediate = 0;       // an expert's width
  Router router = Router::softmax;
  bool normalised = false;  // the weights of the chosen ones are divided by their sum
  double scale = 1.0;       // multiplies them
  int64_t groups = 1, active_groups = 1;
  int64_t shared_intermediate = 0;  // width of an MLP that every token reads too; 0: none
  bool biases = false;              // of the router and of the experts
  double limit = 0.0,
         alpha = 1.0;  // gpt-oss: (up + 1) · gate · sigmoid(alpha · gate), both cut at the limit; 0: not so
};

// Queries, keys and values by way of a smaller vector (multi-head latent attention; DeepSeek-V2).
struct Latent {
  int64_t query_rank = 0;  // 0: queries are made from the hidden state itself
  int64_t key_rank = 0;    // 0: no latent attention
  int64_t plain = 0;       // numbers of a head that do not turn; the head's others are shared by all key heads
};

// How a layer's outputs join what it read.
enum class Residual {
  serial,    // attention, then the MLP
  parallel,  // both read the same state (GPT-J, Phi); without mlp_norm the same normed one
};

struct LayerKind {
  bool sliding = false;  // sees only the last `window` positions, turns by local_rope
  bool rotates = true;   // else its heads do not turn (SmolLM 3)
  bool experts = false;
  double attention_scale = 1.0;  // multiplies the configuration's
};

// A decoder-only transformer as a description of its parts and their order. Each family is a way to fill this struct
// from config.json (families/); the model is built and run by it alone.
struct ModelConfig {
  std::string architecture, model_type;  // "LlamaForCausalLM", "llama"
  TensorNames names;
  int64_t vocabulary = 0, hidden = 0, intermediate = 0, layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t value_dim = 0;  // numbers of a value head, at most head_dim
  int64_t max_positions = 0;
  double initializer_range = 0.02;  // standard deviation of random weights

  NormKind norm;  // of the residual stream
  HeadNorm head_norm = HeadNorm::none;
  NormKind head_norm_kind;
  Residual residual = Residual::serial;
  bool norm_closes_branch = false;  // norms stand after the sum, which goes on normed (OPT-350M)
  bool residual_is_normed = false;  // what the next block adds to is the normed state (BLOOM's option)
  double residual_scale = 1.0;      // multiplies what a block adds (Granite)

  bool query_key_value_bias = false, attention_output_bias = false, mlp_bias = false, output_bias = false;
  bool gated = true;  // the MLP is activation(gate) · up; else activation(up)
  Activation activation = Activation::silu;
  Experts experts;
  Latent latent;

  bool tied_output = false;
  int64_t embedding_width = 0;     // below `hidden`: tokens are embedded there and projected (OPT-350M)
  double embedding_scale = 1.0;    // Gemma: sqrt(hidden)
  int64_t learned_positions = 0;   // rows of the table of positions; 0: none
  int64_t position_offset = 0;     // the row of the first position
  double output_scale = 1.0;       // multiplies the logits (Cohere, Granite)
  double final_softcap = 0.0;      // 0: none
  double attention_scale = 0.0;    // multiplies q·k; head_dim^-0.5 unless the config says otherwise
  double attention_softcap = 0.0;  // 0: none
  double clip = 0.0;               // queries, keys and values are cut at ± this; 0: not
  bool sinks = false;              // a learned score of each head that no value answers to (gpt-oss)
  RotaryLayout rotary;
  Rope rope, local_rope;  // local_rope: sliding layers
  Alibi alibi;
  int64_t window = 0;            // 0: none
  std::vector<LayerKind> kinds;  // [layers]

  int32_t begin_token = -1, end_token = -1;
  int32_t padding_token = -1;       // its input embedding gets no gradient, as in transformers; -1: none
  std::vector<int32_t> end_tokens;  // all that end a generation
  Json source;                      // config.json as read: saved again with the weights

  bool has_latent() const { return latent.key_rank > 0; }
};

// Reads folder/config.json (and generation_config.json for end tokens). Throws MissingInput or BadData naming file and
// field; an unknown architecture names the known ones.
ModelConfig read_model_config(const std::filesystem::path& folder);
ModelConfig parse_model_config(const Json& config, const std::string& where);

}  // namespace cmc::checkpoint
