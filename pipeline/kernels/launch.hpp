#pragma once
#include "pipeline/core/error.hpp"
#include "pipeline/kernels/host_run.hpp"
#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels {

// One launch on a stream; defined for the bodies that the .cu files name. Throws what check_launch does.
template <class Body>
void launch_on_device(const typename Body::Arguments& arguments, void* stream);

// `status`: a cudaError_t, `name` what CUDA calls it; throws Internal where it is not 0.
void check_launch(int status, const char* name);

template <class Body>
void run(const typename Body::Arguments& arguments, const Queue& queue) {
  const Grid grid = Body::grid(arguments);
  if (grid.x * grid.y * grid.z == 0) return;
  expect(grid.x < int64_t{1} << 31 && grid.y < 65536 && grid.z < 65536, "a grid that a device takes");
  if (queue.on == Queue::On::host) return run_on_host<Body>(arguments);
#if CMC_CUDA_KERNELS
  launch_on_device<Body>(arguments, queue.stream);
#else
  expect(false, "kernels are launched on a device where this build holds them");
#endif
}

}  // namespace cmc::kernels
