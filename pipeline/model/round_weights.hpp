#pragma once
#include "pipeline/model/tensor_group.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// Rounds the linear layers of the decoder's layers in place (DecoderModel::rounded). Collective over `group` for a
// split model: a row's largest number may be in the columns of another rank.
void round_layers(ModelWeights& weights, int bits, const TensorGroup& group);

}  // namespace cmc::model
