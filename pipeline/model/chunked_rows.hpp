#pragma once
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>

#include "pipeline/cpu/row_kernels.hpp"

namespace cmc::model {

// Calls work(first, last, sums) for chunks of rows, over the threads, each with its own `sums` [width] of zeros: what
// all rows together give parameters. → the sum of these in the order of the chunks, which are the same for any number
// of threads.
template <typename Work>
torch::Tensor sum_over_rows(int64_t rows, int64_t width, const torch::TensorOptions& options, const Work& work) {
  constexpr int64_t chunk = 64;
  const int64_t chunks = (rows + chunk - 1) / chunk;
  torch::Tensor parts = torch::zeros({std::max<int64_t>(1, chunks), width}, options);
  float* all = parts.data_ptr<float>();
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) work(i * chunk, std::min(rows, (i + 1) * chunk), all + i * width);
  });
  for (int64_t i = 1; i < chunks; ++i) cpu::add_row(all, all + i * width, 1.0f, width);
  return parts.select(0, 0);
}

}  // namespace cmc::model
