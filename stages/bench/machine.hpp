#pragma once
#include <torch/types.h>

#include <string>

namespace cmc::stages {

// What the device itself can do, measured now: what the speed of everything else is set against.
struct Machine {
  std::string name;      // of the card or the processor
  double bandwidth = 0;  // bytes/s of a copy that no cache holds: read and written
  double matmul = 0;     // operations/s of a product of square matrices in `dtype`
};
Machine measure_machine(torch::Device device, torch::Dtype dtype);

// The card's or the processor's name, as its driver or the kernel gives it.
std::string device_name(torch::Device device);

}  // namespace cmc::stages
