#pragma once
#include <torch/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/linear.hpp"
#include "pipeline/model/lora_settings.hpp"
#include "pipeline/model/norm_weights.hpp"
#include "pipeline/model/tensor_plan.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// Queries, keys and values by way of smaller vectors (multi-head latent attention; DeepSeek-V2).
struct LatentWeights {
  Linear query_down, query_up;  // without query_down, query_up reads the hidden state
  Norm query_norm;
  Linear key_down;  // → [key_rank + the part of a key that turns, which all heads share]
  Norm key_norm;
  Linear key_up;  // → this rank's key parts that do not turn, then its values
};

// A mixture of experts in place of an MLP.
struct ExpertWeights {
  torch::Tensor router;                         // [experts, hidden]; undefined: the layer has no experts
  torch::Tensor router_bias;                    // [experts]
  torch::Tensor correction;                     // [experts] float32, for the choice alone
  torch::Tensor gate_up, down;                  // [experts, 2 · width, hidden], [experts, hidden, width]
  torch::Tensor gate_up_bias, down_bias;        // [experts, ..]; undefined: none
  std::vector<Linear> each_gate_up, each_down;  // the experts' own, sharing their memory
  Linear shared_gate_up, shared_down;           // of the MLP that every token reads; without weight: none
  torch::Tensor shared_gate;                    // [1, hidden]; undefined: it counts whole

  bool is_there() const { return router.defined(); }
};

// One decoder layer.
struct LayerWeights {
  Norm attention_norm, query_norm, key_norm, after_attention_norm;
  Norm mlp_norm, after_mlp_norm;
  Linear query_key_value, attention_output;
  std::optional<LatentWeights> latent;  // in place of query_key_value
  torch::Tensor sinks;                  // [heads]; undefined: none
  Linear gate_up, down;                 // gate_up: the gate's rows, then the other's; without a gate those alone
  ExpertWeights experts;                // in place of both
};

// All tensors of a model by their role, and by their names in a fixed order. Copies share their tensors.
struct ModelWeights {
  TensorSplit split;        // which part of the model these are
  torch::Tensor embedding;  // [vocabulary, hidden or embedding_width]
  torch::Tensor positions;  // [positions, hidden]; undefined: none
  Norm embedding_norm;
  Linear project_in, project_out;  // between embedding_width and hidden; without weight: none
  std::vector<LayerWeights> layers;
  Norm final_norm;
  Linear output;  // shares the embedding's memory where outputs are tied
  std::vector<std::pair<std::string, torch::Tensor>> named;
  std::vector<TensorPlan> plans;                                      // of `named`, in the same order
  std::vector<std::pair<TensorPlan, torch::Tensor>> buffers;          // what is stored but never trained
  std::optional<LoraSettings> lora;                                   // of the adapters, where there are any
  std::vector<std::pair<std::string, torch::Tensor>> named_adapters;  // by peft's names, in a fixed order
  std::vector<TensorPlan> adapter_plans;                              // of `named_adapters`
};

// Every block of linear layers but the output and the experts.
std::vector<Linear*> linear_blocks(ModelWeights& weights);
// Those and the experts' own: all linear layers of the decoder's layers.
std::vector<Linear*> layer_blocks(ModelWeights& weights);
// Those and the others: whatever is kept packed.
std::vector<Linear*> all_linear_blocks(ModelWeights& weights);

// Fills `target` (of the model's dtype and device) with it.
using FillTensor = std::function<void(const TensorPlan& plan, torch::Tensor& target)>;

}  // namespace cmc::model
