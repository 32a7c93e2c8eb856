#pragma once
#include <cuda_runtime.h>

#include "pipeline/kernels/body.hpp"

namespace cmc::kernels {

template <class Body>
void launch_on_device(const typename Body::Arguments& arguments, void* stream);
void check_launch(int status, const char* name);

template <class Body>
__global__ void __launch_bounds__(Body::threads) kernel(const __grid_constant__ typename Body::Arguments arguments) {
  __shared__ typename Body::Shared shared;
  typename Body::Private own;
  const Place place{blockIdx.x, blockIdx.y, blockIdx.z, static_cast<int>(threadIdx.x)};
  const int phases = Body::phases(arguments, place);
  for (int phase = 0; phase < phases; ++phase) {
    if (phase > 0) __syncthreads();
    Body::phase(phase, arguments, place, shared, own);
  }
}

template <class Body>
void launch_on_device(const typename Body::Arguments& arguments, void* stream) {
  const Grid grid = Body::grid(arguments);
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  kernel<Body><<<blocks, Body::threads, 0, static_cast<cudaStream_t>(stream)>>>(arguments);
  const cudaError_t status = cudaGetLastError();
  check_launch(status, cudaGetErrorString(status));
}

}  // namespace cmc::kernels
