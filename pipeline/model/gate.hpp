#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/gating.hpp"

namespace cmc::model {

torch::Tensor gate(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined);

}  // namespace cmc::model
