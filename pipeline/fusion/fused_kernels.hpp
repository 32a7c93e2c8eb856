#pragma once
#include <cstdint>
#include <vector>

namespace cmc::fusion {

// One row of a fused distribution on the CPU, as raw pointers: base[v] + Σ_t addend_t[index_t[v]].
struct KernelRow {
  struct Addend {
    const float* values = nullptr;   // already multiplied by the coefficient
    const int32_t* index = nullptr;  // [V] into values; null: values[v]
  };
  const float* base = nullptr;
  std::vector<Addend> addends;
};

struct Best {
  float score = 0.0f;
  int64_t token = -1;  // -1: no score was above minus infinity (all NaN or -inf)
};

// Largest fused score in [begin, end), the lowest index among equals.
Best best_in(const KernelRow& row, int64_t begin, int64_t end);

// log Σ exp over [begin, end) kept as (maximum, Σ exp(x - maximum)), so that pieces can be joined.
struct LogSum {
  float maximum = 0.0f;
  double sum = 0.0;
};
LogSum log_sum_in(const KernelRow& row, int64_t begin, int64_t end);
double joined(const std::vector<LogSum>& pieces);  // log-sum-exp of all pieces, in their order

// out[v - begin] = fused score of v.
void fuse(const KernelRow& row, int64_t begin, int64_t end, float* out);

}  // namespace cmc::fusion
