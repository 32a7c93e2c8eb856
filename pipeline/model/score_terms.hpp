#pragma once
#include <torch/types.h>

namespace cmc::model {

// What some models add to the scores of a layer.
struct ScoreTerms {
  double scale = 1.0;   // multiplies q·k
  torch::Tensor bias;   // [heads, positions] float32, by the key's position (ALiBi); undefined: none
  torch::Tensor sinks;  // [heads]: a score more in each softmax, which no value answers to (gpt-oss); undefined: none
};

}  // namespace cmc::model
