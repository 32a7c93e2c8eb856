#pragma once

namespace cmc::model {

enum class Gating {
  gated,  // activation(gate) * up for joined = [gate, up] (SwiGLU, GeGLU; Shazeer 2020): [N, 2 * width] → [N, width]
  plain,  // activation(joined): [N, width] → [N, width]
};

}  // namespace cmc::model
