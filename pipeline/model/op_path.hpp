#pragma once
#include <torch/types.h>

#include <optional>

namespace cmc::model {

// Who computes one of this folder's operations. All give the same numbers up to rounding.
enum class OpPath {
  cpu_kernels,     // float32 loops of this folder: no gradients, on a CPU that has AVX2 and FMA
  device_kernels,  // the kernels layer: no gradients, on CUDA where the build holds them
  cpu_gradients,   // float32 loops that autograd follows: the same processors with gradients
  torch,           // torch operations: any device, type and processor; differentiable
};

OpPath path_of(const torch::Tensor& x);

// While it lives, operations of this thread take one path, whatever the device: for tests that compare them (device
// kernels then run on the host). With gradients there are but cpu_gradients and torch, without all others.
class ForcedPath {
 public:
  explicit ForcedPath(OpPath path);
  ~ForcedPath();
  ForcedPath(const ForcedPath&) = delete;
  ForcedPath& operator=(const ForcedPath&) = delete;

 private:
  std::optional<OpPath> before_;
};

}  // namespace cmc::model
