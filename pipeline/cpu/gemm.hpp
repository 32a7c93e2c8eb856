#pragma once
#include <cstdint>

namespace cmc::cpu {

// float32 matrix products for training on a CPU, where both factors change from step to step. They need
// an instruction_set(). Every sum is made in one order, whatever the number of threads and the width of the
// processor's vectors.

// An element (i, j) stands at values[i * row + j * column]; row or column is 1.
struct Factor {
  const float* values;
  int64_t row, column;
};

// out (+)= factor · left · right
struct Product {
  int64_t rows, inner, columns;
  Factor left;      // [rows, inner]
  Factor right;     // [inner, columns]
  float* out;       // [rows, columns], rows `out_row` apart
  int64_t out_row;  // at least `columns`
  float factor = 1.0f;
  bool adds = false;  // to what stands there, else it is overwritten
};

// In this thread.
void multiply(const Product& product);
// What threads share out: parts along the longer side of the result, each by one of them. least: fewer of them are not
// worth a thread.
struct Shares {
  int64_t parts, least;
};
Shares shares_of(const Product& product);
Product part_of(const Product& product, int64_t first, int64_t last);  // parts [first, last)

// The right factor of a product as its multipliers read it: panels of 32 columns (the last of as many, rounded up to a
// multiple of 8) one behind the other, each [inner, its columns]; `to` has room for inner · packed_columns(columns).
void pack_right(const Factor& right, int64_t inner, int64_t columns, float* to);
constexpr int64_t packed_columns(int64_t columns) {
  return (columns + 7) / 8 * 8;
}

// The same product in this thread, its right factor packed (`right` is not read), from left to right along `inner`.
void multiply_packed(const Product& product, const float* packed);

// to[c, r] = from[r, c]; rows `from_row` and `to_row` apart.
void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row);

// While it lives, products of this thread take eight-lane vectors alone: for tests that compare them.
class NarrowVectors {
 public:
  NarrowVectors();
  ~NarrowVectors();
  NarrowVectors(const NarrowVectors&) = delete;
  NarrowVectors& operator=(const NarrowVectors&) = delete;

 private:
  bool before_;
};

}  // namespace cmc::cpu
