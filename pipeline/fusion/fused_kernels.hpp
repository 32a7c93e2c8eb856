#pragma once
#include <cstdint>
#include <vector>

namespace cmc::fusion {

// One row of a fused distribution on the CPU, as raw pointers: base[v] + Σ_t addend_t(v).
struct KernelRow {
  // coefficient · (values[v] − offset); where there is an index [V], values[index[v]], already multiplied.
  struct Addend {
    const float* values = nullptr;
    const int32_t* index = nullptr;
    float coefficient = 1.0f, offset = 0.0f;
  };
  // One-to-many: coefficient times the largest of values[ids[i]], offsets[v] <= i < offsets[v + 1].
  struct Lists {
    const float* values = nullptr;
    const int32_t* ids = nullptr;
    const int64_t* offsets = nullptr;  // [V + 1]
    float coefficient = 1.0f;
    float others = 0.0f;  // for tokens with an empty list, already multiplied
  };
  // A few tokens alone, ascending; all others get one value.
  struct Few {
    std::vector<int64_t> tokens;
    std::vector<float> values;  // already multiplied, as `others`
    float others = 0.0f;
  };
  const float* base = nullptr;
  std::vector<Addend> addends;
  std::vector<Lists> lists = {};
  std::vector<Few> few = {};
};

// Largest of values[ids[i]], i < count; count > 0; NaN where one of them is.
float largest(const float* values, const int32_t* ids, int64_t count);

struct Best {
  float score = 0.0f;
  int64_t token = -1;  // -1: no score was above minus infinity (all NaN or -inf)
};

// Largest fused score in [begin, end), the lowest index among equals.
Best best_in(const KernelRow& row, int64_t begin, int64_t end);

// log Σ exp over [begin, end) kept as (maximum, Σ exp(x - maximum)), so that pieces can be joined. A NaN among the
// scores makes the sum NaN.
struct LogSum {
  float maximum = 0.0f;
  double sum = 0.0;
};
LogSum log_sum_in(const KernelRow& row, int64_t begin, int64_t end);
double joined(const std::vector<LogSum>& pieces);  // log-sum-exp of all pieces, in their order

// out[v - begin] = fused score of v.
void fuse(const KernelRow& row, int64_t begin, int64_t end, float* out);

// A row whose terms are known by bounds alone: |term_t(v)| <= scale · reach[v].
struct BoundRow {
  struct Term {
    const float* reach = nullptr;
    float scale = 0.0f;  // finite
  };
  const float* base = nullptr;
  std::vector<Term> terms;
};

// What [begin, end) may reach, rounding included. NaN and what is infinite bounds nothing.
struct Bounds {
  int64_t begin = 0, end = 0;
  float lower = 0.0f;        // one of the scores is as large at least
  std::vector<float> upper;  // of blocks of bound_block tokens: none is larger
};
constexpr int64_t bound_block = 512;
Bounds bounds_in(const BoundRow& row, int64_t begin, int64_t end);
// Appends, ascending, the tokens of these bounds that may have a score of `floor` or more; stops behind `most` of them.
void find_candidates(const BoundRow& row, const Bounds& bounds, float floor, int64_t most, std::vector<int64_t>& found);

}  // namespace cmc::fusion
