#pragma once
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// The part of the model that `tensor_rank` holds. Throws as split_model does.
ModelWeights make_weights(const checkpoint::ModelConfig& config, TensorRank tensor_rank, torch::Dtype dtype,
                          torch::Device device, const FillTensor& fill);

// The same values in memory of their own, without adapters.
ModelWeights copy_weights(const checkpoint::ModelConfig& config, const ModelWeights& weights);

}  // namespace cmc::model
