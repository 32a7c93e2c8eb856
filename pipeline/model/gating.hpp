#pragma once
#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/kernels/gate.hpp"

namespace cmc::model {

enum class Gating {
  gated,  // activation(gate) * up for joined = [gate, up] (SwiGLU, GeGLU; Shazeer 2020): [N, 2 * width] → [N, width]
  plain,  // activation(joined): [N, width] → [N, width]
};

// As the kernels' loops name it.
kernels::Activation activation_of(checkpoint::Activation activation);

}  // namespace cmc::model
