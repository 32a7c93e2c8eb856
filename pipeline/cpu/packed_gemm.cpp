#include "pipeline/cpu/packed_gemm.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "pipeline/cpu/packed_tile.hpp"

namespace cmc::cpu {

namespace {

constexpr int64_t strip = PackedMatrix::strip_width;
// So many steps of some strips, and so many rows of x, stay in the second-level cache while they are multiplied.
constexpr int64_t step_block = 1024, row_block = 96;
constexpr int64_t few_rows = 2;  // memory alone sets their pace, and the processor's own prefetching does better

// Where part `index` of `count` equal ones begins.
int64_t part(int64_t whole, int64_t index, int64_t count) {
  return whole * index / count;
}

int64_t divided_up(int64_t whole, int64_t part) {
  return (whole + part - 1) / part;
}

}  // namespace

PackedMatrix::PackedMatrix(const float* weights, int64_t outputs, int64_t inputs, InstructionSet set)
    : outputs_(outputs), inputs_(inputs), set_(set) {
  narrow_ = std::all_of(weights, weights + outputs * inputs,
                        [](float w) { return (std::bit_cast<uint32_t>(w) & 0xFFFFu) == 0; });
  steps_ = narrow_ ? divided_up(inputs, 2) : inputs;
  words_.resize(static_cast<size_t>(strips() * strip * steps_));
}

void PackedMatrix::pack(const float* weights, int64_t first, int64_t last) {
  for (int64_t output = first * strip; output < std::min(last * strip, outputs_); ++output) {
    uint32_t* words = words_.data() + output / strip * strip * steps_ + output % strip;
    const float* row = weights + output * inputs_;
    const auto bits = [&](int64_t input) { return input < inputs_ ? std::bit_cast<uint32_t>(row[input]) : 0; };
    for (int64_t step = 0; step < steps_; ++step)
      words[step * strip] = narrow_ ? bits(2 * step) >> 16 | bits(2 * step + 1) : bits(step);
  }
}

// Some rows times strips [first, first + strips), inputs [input, input + inputs), at once.
struct PackedMatrix::Part {
  const float* x;
  int64_t rows;
  float* out;  // of the first strip, rows `out_stride` apart
  int64_t out_stride;
  int64_t first, strips, input, inputs;
};

void PackedMatrix::multiply_part(const Part& some) const {
  const int64_t blocks = divided_up(some.rows, tile_rows(set_));  // dealt evenly: 16 = 6 + 5 + 5
  const int64_t a_step = narrow_ ? 2 : 1, steps = divided_up(some.inputs, a_step);
  const uint32_t* words = words_.data() + (some.first * steps_ + some.input / a_step) * strip;
  // What is multiplied next lies behind these weights; each block fetches its share of it, so that memory is busy all
  // the time.
  const int64_t share = some.rows <= few_rows ? 0 : divided_up(some.strips * strip * 4, blocks);
  const char* ahead = reinterpret_cast<const char*>(words + some.strips * steps_ * strip);
  const int64_t valid = std::min(some.strips * strip, outputs_ - some.first * strip);
  const bool cut = valid < some.strips * strip;  // the last strip may be wider than the matrix
  float ragged[most_tile_numbers];
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t row = part(some.rows, block, blocks), rows = part(some.rows, block + 1, blocks) - row;
    float* out = some.out + row * some.out_stride;
    const int64_t stride = cut ? some.strips * strip : some.out_stride;
    for (int64_t r = 0; cut && some.input > 0 && r < rows; ++r)
      std::copy_n(out + r * some.out_stride, valid, ragged + r * stride);
    multiply_tile(set_,
                  {.x = some.x + row * inputs_ + some.input,
                   .x_stride = inputs_,
                   .inputs = some.inputs,
                   .words = words,
                   .strip = strip * steps_,
                   .ahead = ahead + block * share * steps,
                   .ahead_step = share,
                   .out = cut ? ragged : out,
                   .out_stride = stride,
                   .adds = some.input > 0},
                  rows, some.strips, narrow_);
    for (int64_t r = 0; cut && r < rows; ++r) std::copy_n(ragged + r * stride, valid, out + r * some.out_stride);
  }
}

void PackedMatrix::multiply(const float* x, int64_t rows, float* y, int64_t first, int64_t last) const {
  const int64_t inputs = step_block * (narrow_ ? 2 : 1), blocks = divided_up(rows, row_block);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t row = part(rows, block, blocks), count = part(rows, block + 1, blocks) - row;
    const int64_t most = tile_strips(set_, divided_up(count, divided_up(count, tile_rows(set_))));
    for (int64_t at = first, strips = 0; at < last; at += strips) {
      strips = std::min(most, last - at);
      for (int64_t input = 0; input < inputs_; input += inputs) {
        multiply_part({x + row * inputs_, count, y + row * outputs_ + at * strip, outputs_, at, strips, input,
                       std::min(inputs, inputs_ - input)});
      }
    }
  }
}

void PackedMatrix::multiply_strip(const float* x, int64_t index, float* y) const {
  std::fill_n(y, strip, 0.0f);
  const int64_t inputs = step_block * (narrow_ ? 2 : 1);
  for (int64_t input = 0; input < inputs_; input += inputs)
    multiply_part({x, 1, y, strip, index, 1, input, std::min(inputs, inputs_ - input)});
}

void PackedMatrix::lengths(int64_t first, int64_t last, float* lengths) const {
  for (int64_t output = first * strip; output < std::min(last * strip, outputs_); ++output) {
    const uint32_t* words = words_.data() + output / strip * strip * steps_ + output % strip;
    double squares = 0.0;
    for (int64_t step = 0; step < steps_; ++step) {
      const uint32_t word = words[step * strip];
      const double low = std::bit_cast<float>(narrow_ ? word << 16 : word);
      const double high = narrow_ ? std::bit_cast<float>(word & 0xFFFF0000u) : 0.0f;
      squares += low * low + high * high;
    }
    lengths[output] = static_cast<float>(std::sqrt(squares));
  }
}

}  // namespace cmc::cpu
