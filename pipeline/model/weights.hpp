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
#include "pipeline/model/rms_norm.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// One decoder layer.
struct LayerWeights {
  RmsNorm attention_norm, query_norm, key_norm, after_attention_norm;
  RmsNorm mlp_norm, after_mlp_norm;
  Linear query_key_value, attention_output;
  Linear gate_up, down;
};

// All tensors of a model by their role, and by their Hugging Face names in a fixed order. Copies share their tensors.
struct ModelWeights {
  TensorSplit split;        // which part of the model these are
  torch::Tensor embedding;  // [vocabulary, hidden]
  std::vector<LayerWeights> layers;
  RmsNorm final_norm;
  Linear output;  // shares the embedding's memory where outputs are tied
  std::vector<std::pair<std::string, torch::Tensor>> named;
  std::optional<LoraSettings> lora;                                   // of the adapters, where there are any
  std::vector<std::pair<std::string, torch::Tensor>> named_adapters;  // by peft's names, in a fixed order
};

// The same values in memory of their own, without adapters.
ModelWeights copy_weights(const checkpoint::ModelConfig& config, const ModelWeights& weights);

// Every block of linear layers but the output.
std::vector<Linear*> linear_blocks(ModelWeights& weights);

enum class Fill { weights, norm, bias };

// A tensor of the model: what is held of the stored one, whose shape is [rows.whole, columns.whole] or, of a vector,
// [rows.whole].
struct TensorPlan {
  std::string name;
  Fill kind = Fill::weights;
  Slices rows, columns;
};
// Fills `target` (of the model's dtype and device) with it.
using FillTensor = std::function<void(const TensorPlan& plan, torch::Tensor& target)>;

// The part of the model that `tensor_rank` holds. Throws as split_model does.
ModelWeights make_weights(const checkpoint::ModelConfig& config, TensorRank tensor_rank, torch::Dtype dtype,
                          torch::Device device, const FillTensor& fill);

}  // namespace cmc::model
