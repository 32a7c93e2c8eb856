#pragma once
#include <torch/types.h>

#include <cstdint>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Memory of a device (bytes). A CPU's is the machine's.
struct DeviceMemory {
  int64_t total = 0;
  int64_t free = 0;  // what nobody uses, LibTorch's cache of it too; 0 where the system does not tell
};
DeviceMemory memory_of(torch::Device device);

// The largest memory that this process held on the device since the last restart_peak_bytes(): of a CPU what was
// resident, of CUDA what LibTorch's allocator handed out. -1 where the system does not tell.
int64_t peak_bytes(torch::Device device);
void restart_peak_bytes(torch::Device device);

// Tokens that one pass without gradients or cache takes on a GPU: 16,384, which fill any card, or fewer where a layer's
// work on them would take more than a thirty-second of the card's memory. Nothing that changes while a program runs, so
// that ranks with equal cards decide alike; a power of two, since equal cards may differ by some pages.
int64_t pass_tokens_on(torch::Device device, const checkpoint::ModelConfig& config, torch::Dtype dtype);

// Gives back what LibTorch's allocator keeps for later, so that another size or another library can have it.
void release_cached_bytes(torch::Device device);

// What every number here relies on: sums in float32, whatever is multiplied. LibTorch lets cuBLAS round partial sums to
// 16 bits unless told otherwise. A setting of the process; without effect on a CPU.
void forbid_reduced_sums();

}  // namespace cmc::model
