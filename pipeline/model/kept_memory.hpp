#pragma once
#include <torch/types.h>

namespace cmc::model {

// Memory of a large tensor that is made again and again, such as logits. On a CPU it is kept from one to the next:
// given back each time, its pages alone would take a tenth of a training step and some hundredths of a decoding step.
class KeptMemory {
 public:
  // Numbers of any value. The memory is that of the tensor before where nobody holds that any more, else new.
  torch::Tensor of(at::IntArrayRef sizes, const torch::TensorOptions& options);

 private:
  torch::Tensor kept_;
};

// The same from `memory`, or of its own where that is null.
torch::Tensor numbers_in(KeptMemory* memory, at::IntArrayRef sizes, const torch::TensorOptions& options);

}  // namespace cmc::model
