#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace cmc {

// What the CUDA driver says of a card.
struct Card {
  std::string name;    // "NVIDIA H100 80GB HBM3"
  int capability = 0;  // compute capability, 90 for 9.0
  int multiprocessors = 0;
  int64_t memory_bytes = 0;  // in all
};

// The cards that this process may use (CUDA_VISIBLE_DEVICES), in CUDA's order; none without a driver. Asks the driver's
// library itself, so that a program needs no CUDA to be built or started.
std::vector<Card> cards(const char* driver_library = "libcuda.so.1");

}  // namespace cmc
