#pragma once
#include <optional>

namespace cmc::stages {

// Records what the CUDA device does from begin() to end(), by LibTorch's profiler.
class DeviceActivity {
 public:
  void begin();
  // The part of the time between the first kernel's or copy's start and the last one's end in which the device did
  // nothing; nothing where the profiler saw no device at work.
  std::optional<double> idle_share_at_end();
};

}  // namespace cmc::stages
