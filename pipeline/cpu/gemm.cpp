#include "pipeline/cpu/gemm.hpp"

#include <algorithm>
#include <vector>

#include "pipeline/cpu/instruction_set.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cmc::cpu {

#if defined(__x86_64__)

namespace {

constexpr int64_t widest_panel = 32;
constexpr int64_t slab_rows = 8;        // of the left factor at a time
constexpr int64_t longest_inner = 640;  // a panel and a slab of so many stay in the caches
constexpr int64_t packed_rows = 64;     // of a left factor that lies transposed
constexpr int64_t block_columns = 256;  // that are packed before the left factor is read

thread_local bool narrow_vectors = false;

bool has_wide_vectors() {
  return instruction_set() == InstructionSet::avx512 && !narrow_vectors;
}

// A few rows of the left factor times some columns of a panel.
struct Tile {
  const float* left;
  int64_t left_row, left_inner;
  const float* right;
  int64_t width, inner;
  float* out;
  int64_t out_row;
  float factor;
  bool adds;
};

// Sixteen columns a vector.
template <int ROWS, int VECTORS>
__attribute__((target("avx512f"))) void wide_tile(const Tile& tile) {
  __m512 sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  const float *left = tile.left, *right = tile.right;
  for (int64_t i = 0; i < tile.inner; ++i, left += tile.left_inner, right += tile.width) {
    __m512 columns[VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) columns[v] = _mm512_loadu_ps(right + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const __m512 value = _mm512_set1_ps(left[r * tile.left_row]);
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm512_fmadd_ps(value, columns[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
      float* out = tile.out + r * tile.out_row + 16 * v;
      const __m512 scaled = _mm512_mul_ps(sum[r][v], _mm512_set1_ps(tile.factor));
      _mm512_storeu_ps(out, tile.adds ? _mm512_add_ps(_mm512_loadu_ps(out), scaled) : scaled);
    }
  }
}

__attribute__((target("avx2"))) inline __m256i first_lanes(int64_t count) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lanes);
}

// Eight columns a vector; the last one may hold more than `columns`, which are all there are.
template <int ROWS, int VECTORS>
__attribute__((target("avx2,fma"))) void narrow_tile(const Tile& tile, int64_t columns) {
  __m256 sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm256_setzero_ps();
  }
  const float *left = tile.left, *right = tile.right;
  for (int64_t i = 0; i < tile.inner; ++i, left += tile.left_inner, right += tile.width) {
    __m256 values[VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) values[v] = _mm256_loadu_ps(right + 8 * v);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const __m256 value = _mm256_broadcast_ss(left + r * tile.left_row);
#pragma GCC unroll 2
      for (int v = 0; v < VECTORS; ++v) sum[r][v] = _mm256_fmadd_ps(value, values[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < VECTORS; ++v) {
      float* out = tile.out + r * tile.out_row + 8 * v;
      const __m256 scaled = _mm256_mul_ps(sum[r][v], _mm256_set1_ps(tile.factor));
      if (columns >= 8 * v + 8) {  // masked stores take some processors many times as long
        _mm256_storeu_ps(out, tile.adds ? _mm256_add_ps(_mm256_loadu_ps(out), scaled) : scaled);
        continue;
      }
      const __m256i lanes = first_lanes(columns - 8 * v);
      _mm256_maskstore_ps(out, lanes, tile.adds ? _mm256_add_ps(_mm256_maskload_ps(out, lanes), scaled) : scaled);
    }
  }
}

template <int VECTORS>
void wide_tiles(const Tile& tile, int64_t rows) {
  using Function = void (*)(const Tile&);
  static constexpr Function of_rows[] = {wide_tile<1, VECTORS>, wide_tile<2, VECTORS>, wide_tile<3, VECTORS>,
                                         wide_tile<4, VECTORS>, wide_tile<5, VECTORS>, wide_tile<6, VECTORS>,
                                         wide_tile<7, VECTORS>, wide_tile<8, VECTORS>};
  of_rows[rows - 1](tile);
}

// Eight rows of one vector, four of two: sixteen registers hold no more.
template <int VECTORS>
void narrow_tiles(Tile tile, int64_t rows, int64_t columns) {
  using Function = void (*)(const Tile&, int64_t);
  static constexpr Function of_rows[] = {narrow_tile<1, VECTORS>, narrow_tile<2, VECTORS>, narrow_tile<3, VECTORS>,
                                         narrow_tile<4, VECTORS>};
  for (; rows > 0; rows -= 4, tile.left += 4 * tile.left_row, tile.out += 4 * tile.out_row) {
    if (VECTORS == 1 && rows >= 8) return narrow_tile<8, 1>(tile, columns);
    of_rows[std::min<int64_t>(rows, 4) - 1](tile, columns);
  }
}

// Up to eight rows times a panel; moves on behind it. (A copy of what was just written would wait for it.)
void slab_times_panel(Tile& tile, int64_t rows, int64_t columns) {
  const bool wide = has_wide_vectors();
  const auto next = [&](int64_t count) {
    tile.right += count;
    tile.out += count;
    columns -= count;
  };
  for (; columns >= 32 && wide; next(32)) wide_tiles<2>(tile, rows);
  for (; columns >= 16 && wide; next(16)) wide_tiles<1>(tile, rows);
  for (; columns > 8; next(16)) narrow_tiles<2>(tile, rows, columns);
  if (columns > 0) narrow_tiles<1>(tile, rows, columns);
}

// Memory of this thread, on a cache line.
float* aligned(std::vector<float>& memory, int64_t numbers) {
  if (std::ssize(memory) < numbers + 16) memory.resize(static_cast<size_t>(numbers) + 16);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (64 - address % 64) % 64 / sizeof(float);
}

// Rows of a left factor whose rows run fastest, eight by eight in slabs one behind the other: [rows / 8, inner, 8].
__attribute__((target("avx2"))) void pack_left(const Factor& left, int64_t rows, int64_t inner, float* to) {
  const int64_t whole = rows / slab_rows * slab_rows;
  for (int64_t i = 0; i < inner; ++i) {
    const float* from = left.values + i * left.column;
    float* slab = to + i * slab_rows;
    for (int64_t row = 0; row < whole; row += slab_rows, slab += inner * slab_rows)
      _mm256_storeu_ps(slab, _mm256_loadu_ps(from + row));
    for (int64_t row = whole; row < rows; ++row) slab[row - whole] = from[row];
  }
}

// `next_row`: how far apart rows of slabs begin.
void multiply_slabs(const Product& block, const float* packed, int64_t next_row) {
  Tile tile{nullptr,     block.left.row, block.left.column, packed,       0,
            block.inner, nullptr,        block.out_row,     block.factor, block.adds};
  for (int64_t row = 0; row < block.rows; row += slab_rows) {
    const int64_t rows = std::min(slab_rows, block.rows - row);
    tile.left = block.left.values + row * next_row;
    const float* panel = packed;
    for (int64_t at = 0; at < block.columns; at += widest_panel) {
      const int64_t own = std::min(widest_panel, block.columns - at);
      tile.width = packed_columns(own);
      tile.right = panel;
      tile.out = block.out + row * block.out_row + at;
      slab_times_panel(tile, rows, own);
      panel += tile.width * block.inner;
    }
  }
}

// A product of few enough columns and inner rows: its packed right factor stays in the second-level cache.
void multiply_block(const Product& block, const float* packed) {
  if (block.left.row != 1 || block.left.column == 1) return multiply_slabs(block, packed, block.left.row);
  thread_local std::vector<float> memory;
  for (int64_t row = 0; row < block.rows; row += packed_rows) {
    Product part = block;
    part.rows = std::min(packed_rows, block.rows - row);
    part.left.values += row;
    part.out += row * block.out_row;
    float* slabs = aligned(memory, (part.rows + slab_rows - 1) / slab_rows * slab_rows * part.inner);
    pack_left(part.left, part.rows, part.inner, slabs);
    part.left = {slabs, 1, slab_rows};
    multiply_slabs(part, packed, part.inner);
  }
}

// The longer side of a result, in units that tiles fill.
struct Side {
  bool is_rows;
  int64_t length, other, unit;
  explicit Side(const Product& product)
      : is_rows(product.rows >= product.columns),
        length(is_rows ? product.rows : product.columns),
        other(is_rows ? product.columns : product.rows),
        unit(is_rows ? slab_rows : widest_panel) {}
};

__attribute__((target("avx2"))) void transpose_eight(const float* from, int64_t from_row, float* to, int64_t to_row) {
  __m256 a[8], b[8];
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) a[r] = _mm256_loadu_ps(from + r * from_row);
#pragma GCC unroll 4
  for (int r = 0; r < 8; r += 2) {
    b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
    b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
  }
#pragma GCC unroll 2
  for (int r = 0; r < 8; r += 4) {
    a[r] = _mm256_shuffle_ps(b[r], b[r + 2], 0x44);
    a[r + 1] = _mm256_shuffle_ps(b[r], b[r + 2], 0xEE);
    a[r + 2] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0x44);
    a[r + 3] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    _mm256_storeu_ps(to + r * to_row, _mm256_permute2f128_ps(a[r], a[r + 4], 0x20));
    _mm256_storeu_ps(to + (r + 4) * to_row, _mm256_permute2f128_ps(a[r], a[r + 4], 0x31));
  }
}

}  // namespace

void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  const int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (int64_t r = 0; r < whole_rows; r += 8) {
    for (int64_t c = 0; c < whole_columns; c += 8)
      transpose_eight(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) to[c * to_row + r] = from[r * from_row + c];
  }
}

void pack_right(const Factor& right, int64_t inner, int64_t columns, float* to) {
  for (int64_t at = 0; at < columns; at += widest_panel) {
    const int64_t own = std::min(widest_panel, columns - at), width = packed_columns(own);
    const float* from = right.values + at * right.column;
    if (right.column == 1) {
      for (int64_t i = 0; i < inner; ++i) {
        if (own == widest_panel)  // of a length that the compiler knows
          std::copy_n(from + i * right.row, widest_panel, to + i * width);
        else
          std::copy_n(from + i * right.row, own, to + i * width);
      }
    } else {
      transpose(from, right.column, own, inner, to, width);
    }
    for (int64_t i = 0; i < inner && own < width; ++i) std::fill(to + i * width + own, to + (i + 1) * width, 0.0f);
    to += inner * width;
  }
}

void multiply_packed(const Product& product, const float* packed) {
  multiply_slabs(product, packed, product.left.row);
}

void multiply(const Product& part) {
  thread_local std::vector<float> memory;
  const int64_t pieces = std::max<int64_t>(1, (part.inner + longest_inner - 1) / longest_inner);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t first = piece * part.inner / pieces, inner = (piece + 1) * part.inner / pieces - first;
    for (int64_t at = 0; at < part.columns; at += block_columns) {
      Product block = part;
      block.inner = inner;
      block.columns = std::min(block_columns, part.columns - at);
      block.left.values += first * part.left.column;
      block.right.values += first * part.right.row + at * part.right.column;
      block.out += at;
      block.adds = part.adds || piece > 0;
      float* packed = aligned(memory, inner * packed_columns(block.columns));
      pack_right(block.right, inner, block.columns, packed);
      multiply_block(block, packed);
    }
  }
}

Shares shares_of(const Product& product) {
  const Side side(product);
  const int64_t work = std::max<int64_t>(1, product.inner * side.unit * side.other);
  return {(side.length + side.unit - 1) / side.unit, std::max<int64_t>(1, 1'000'000 / work)};
}

Product part_of(const Product& product, int64_t first, int64_t last) {
  const Side side(product);
  const int64_t from = first * side.unit, count = std::min(side.length, last * side.unit) - from;
  Product part = product;
  part.out += side.is_rows ? from * product.out_row : from;
  (side.is_rows ? part.rows : part.columns) = count;
  if (side.is_rows)
    part.left.values += from * product.left.row;
  else
    part.right.values += from * product.right.column;
  return part;
}

NarrowVectors::NarrowVectors() : before_(narrow_vectors) {
  narrow_vectors = true;
}
NarrowVectors::~NarrowVectors() {
  narrow_vectors = before_;
}

#else

void transpose(const float*, int64_t, int64_t, int64_t, float*, int64_t) {}
void pack_right(const Factor&, int64_t, int64_t, float*) {}
void multiply_packed(const Product&, const float*) {}
void multiply(const Product&) {}
Shares shares_of(const Product&) {
  return {0, 1};
}
Product part_of(const Product& product, int64_t, int64_t) {
  return product;
}
NarrowVectors::NarrowVectors() : before_(false) {}
NarrowVectors::~NarrowVectors() = default;

#endif

}  // namespace cmc::cpu
