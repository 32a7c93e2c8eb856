#pragma once
#include <torch/types.h>

#include "pipeline/model/packed_gemm.hpp"

namespace cmc::model {

// Whether an operation on `x` may take this folder's own kernels: no gradients, float32, on a CPU that has them. The
// other path is the same mathematics in torch operations.
inline bool takes_cpu_kernels(const torch::Tensor& x) {
  return !torch::GradMode::is_enabled() && x.device().is_cpu() && x.scalar_type() == torch::kFloat32 &&
         PackedMatrix::supported();
}

}  // namespace cmc::model
