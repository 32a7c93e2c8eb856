#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// activation(gate) * up for joined = [gate, up] (SwiGLU, GeGLU; Shazeer 2020): [N, 2 * width] → [N, width].
torch::Tensor gate(checkpoint::Activation activation, const torch::Tensor& joined);

}  // namespace cmc::model
