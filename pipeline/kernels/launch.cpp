#include "pipeline/kernels/launch.hpp"

#include <string>

namespace cmc::kernels {

bool compiled() {
  return CMC_CUDA_KERNELS != 0;
}

void check_launch(int status, const char* name) {
  if (status != 0)
    throw Internal({"CUDA kernel", "was refused: " + std::string(name) + " (" + std::to_string(status) + ")",
                    "this build holds device code for the architectures of TORCH_CUDA_ARCH_LIST alone"});
}

}  // namespace cmc::kernels
