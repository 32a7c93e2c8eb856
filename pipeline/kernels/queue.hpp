#pragma once

namespace cmc::kernels {

// Where kernels run: on a CUDA stream, in its order, or on the host at once (pointers are then the host's). The host
// runs the very same bodies thread by thread: slow, for tests and for checking a device.
struct Queue {
  enum class On { device, host } on = On::device;
  void* stream = nullptr;  // cudaStream_t; null: the default stream

  static Queue host() { return {On::host, nullptr}; }
};

// Whether this build holds device code (nvcc and a LibTorch built with CUDA were there). Without it torch operations
// stand in, and a launch on a device throws Internal.
bool compiled();

// Of model tensors.
enum class Type { float32, bfloat16 };

}  // namespace cmc::kernels
