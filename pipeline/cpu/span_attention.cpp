#include "pipeline/cpu/span_attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pipeline/cpu/gemm.hpp"
#include "pipeline/cpu/simd.hpp"

namespace cmc::cpu {

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")

namespace {

// Up to 32 queries of one head, a lane each: scores stand as [keys, lanes], so that what a softmax does to a query it
// does to all lanes at once, and both products read them as they lie.
constexpr int64_t most_lanes = 32;

struct QueryBlock {
  int64_t first, count, lanes;  // queries [first, first + count) in so many lanes
  int64_t from_key, keys;       // any of them sees

  QueryBlock(const SpanHeads& heads, int64_t at)
      : first(at),
        count(std::min(most_lanes, heads.tokens - at)),
        lanes(packed_columns(count)),
        from_key(heads.window > 0 ? std::max<int64_t>(0, at - heads.window + 1) : 0),
        keys(at + count - from_key) {}
};

// Which lanes see a key: those from its own query on, up to the last whose window holds it.
class Seen {
 public:
  Seen(const SpanHeads& heads, const QueryBlock& block, int64_t key)
      : from_(static_cast<int>(key - block.first)),
        to_(static_cast<int>(heads.window > 0 ? std::min(key - block.first + heads.window, most_lanes) : most_lanes)) {}
  bool by_all() const { return from_ <= 0 && to_ >= most_lanes; }
  __m256 lanes(int64_t at) const {
    const __m256i own =
        _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(at)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i early = _mm256_cmpgt_epi32(_mm256_set1_epi32(from_), own);
    return _mm256_castsi256_ps(_mm256_andnot_si256(early, _mm256_cmpgt_epi32(_mm256_set1_epi32(to_), own)));
  }

 private:
  int from_, to_;
};

// Memory of this thread for one block.
struct Workspace {
  std::vector<float> query, upstream, scores, slopes, result, query_rows, upstream_rows;
  static float* room(std::vector<float>& memory, int64_t numbers) {
    if (std::ssize(memory) < numbers) memory.resize(static_cast<size_t>(numbers));
    return memory.data();
  }
};
thread_local Workspace workspace;

// [dim, lanes] of the block's rows of one head.
const float* as_columns(const float* head, int64_t stride, const QueryBlock& block, int64_t dim,
                        std::vector<float>& memory) {
  float* packed = Workspace::room(memory, dim * block.lanes);
  pack_right({head + block.first * stride, 1, stride}, dim, block.count, packed);
  return packed;
}

// The same rows as a right factor.
const float* as_rows(const float* head, int64_t stride, const QueryBlock& block, int64_t dim,
                     std::vector<float>& memory) {
  float* packed = Workspace::room(memory, block.count * packed_columns(dim));
  pack_right({head + block.first * stride, stride, 1}, block.count, dim, packed);
  return packed;
}

// [keys, lanes] factor · rows of keys (or values) · columns.
float* products_of(const SpanHeads& heads, const QueryBlock& block, const float* rows, const float* columns,
                   float factor, std::vector<float>& memory) {
  float* out = Workspace::room(memory, block.keys * block.lanes);
  multiply_packed({block.keys,
                   heads.head_dim,
                   block.lanes,
                   {rows + block.from_key * heads.stride, heads.stride, 1},
                   {},
                   out,
                   block.lanes,
                   factor},
                  columns);
  return out;
}

// The block's rows of a head get Σ over keys of its row times what stands for the query: [count, dim].
void sum_over_keys(const SpanHeads& heads, const QueryBlock& block, const float* rows, const float* by_key,
                   const float* lane_factors, float* out, int64_t out_stride) {
  const int64_t dim = heads.head_dim;
  float* sums = Workspace::room(workspace.result, dim * block.lanes);
  multiply_packed(
      {dim, block.keys, block.lanes, {rows + block.from_key * heads.stride, 1, heads.stride}, {}, sums, block.lanes},
      by_key);
  for (int64_t at = 0; at < block.lanes && lane_factors != nullptr; at += 8) {
    const __m256 factors = _mm256_loadu_ps(lane_factors + at);
    for (int64_t d = 0; d < dim; ++d) {
      float* sum = sums + d * block.lanes + at;
      _mm256_storeu_ps(sum, _mm256_mul_ps(_mm256_loadu_ps(sum), factors));
    }
  }
  transpose(sums, block.lanes, dim, block.count, out + block.first * out_stride, out_stride);
}

// Keys get Σ over the block's queries of what stands for both times the query's row, added.
void add_over_queries(const SpanHeads& heads, const QueryBlock& block, const float* by_key, const float* rows,
                      float* out) {
  multiply_packed({block.keys,
                   block.count,
                   heads.head_dim,
                   {by_key, block.lanes, 1},
                   {},
                   out + block.from_key * heads.stride,
                   heads.stride,
                   1.0f,
                   true},
                  rows);
}

// Scores become exp(score - shift of the lane), of keys that a lane does not see 0. → their sums.
__m256 exponentiate_lanes(const SpanHeads& heads, const QueryBlock& block, int64_t at, __m256 shift, float* scores) {
  __m256 sum = _mm256_setzero_ps();
  for (int64_t key = 0; key < block.keys; ++key) {
    float* own = scores + key * block.lanes + at;
    __m256 share = simd::exp(_mm256_sub_ps(_mm256_loadu_ps(own), shift));
    const Seen seen(heads, block, block.from_key + key);
    if (!seen.by_all()) share = _mm256_and_ps(share, seen.lanes(at));
    _mm256_storeu_ps(own, share);
    sum = _mm256_add_ps(sum, share);
  }
  return sum;
}

__m256 largest_of_lanes(const SpanHeads& heads, const QueryBlock& block, int64_t at, const float* scores) {
  const __m256 lowest = _mm256_set1_ps(std::numeric_limits<float>::lowest());
  __m256 largest = lowest;
  for (int64_t key = 0; key < block.keys; ++key) {
    __m256 own = _mm256_loadu_ps(scores + key * block.lanes + at);
    const Seen seen(heads, block, block.from_key + key);
    if (!seen.by_all()) own = _mm256_blendv_ps(lowest, own, seen.lanes(at));
    largest = _mm256_max_ps(largest, own);
  }
  return largest;
}

// From shares and the products of upstream and values the gradient by q·k: scale · share · (product − their mean),
// where the shares' own sum, 1 but for the normaliser's rounding, keeps the gradients of a query's scores at a sum of
// 0.
void slopes_of_scores(const SpanHeads& heads, const QueryBlock& block, const float* shares, const float* sums,
                      float* products) {
  const __m256 scale = _mm256_set1_ps(heads.scale);
  for (int64_t at = 0; at < block.lanes; at += 8) {
    __m256 mean = _mm256_setzero_ps();
    for (int64_t place = at; place < block.keys * block.lanes; place += block.lanes)
      mean = _mm256_fmadd_ps(_mm256_loadu_ps(shares + place), _mm256_loadu_ps(products + place), mean);
    mean = _mm256_div_ps(mean, _mm256_load_ps(sums + at));
    for (int64_t place = at; place < block.keys * block.lanes; place += block.lanes) {
      const __m256 apart = _mm256_sub_ps(_mm256_loadu_ps(products + place), mean);
      const __m256 share = _mm256_mul_ps(_mm256_loadu_ps(shares + place), scale);
      _mm256_storeu_ps(products + place, _mm256_mul_ps(share, apart));
    }
  }
}

}  // namespace

void attend_span(const SpanHeads& heads, float* out, int64_t out_stride, float* normalisers, int64_t all_heads) {
  const int64_t dim = heads.head_dim;
  alignas(32) float largest[most_lanes], sums[most_lanes], inverse[most_lanes];
  for (int64_t at = 0; at < heads.tokens; at += most_lanes) {
    const QueryBlock block(heads, at);
    for (int64_t g = 0; g < heads.group; ++g) {
      const float* query = as_columns(heads.query + g * dim, heads.stride, block, dim, workspace.query);
      float* scores = products_of(heads, block, heads.key, query, heads.scale, workspace.scores);
      for (int64_t lane = 0; lane < block.lanes; lane += 8) {
        const __m256 top = largest_of_lanes(heads, block, lane, scores);
        const __m256 sum = exponentiate_lanes(heads, block, lane, top, scores);
        _mm256_store_ps(largest + lane, top);
        _mm256_store_ps(sums + lane, sum);
        _mm256_store_ps(inverse + lane, _mm256_div_ps(_mm256_set1_ps(1.0f), sum));
      }
      for (int64_t i = 0; i < block.count; ++i)
        normalisers[(block.first + i) * all_heads + g] = largest[i] + std::log(sums[i]);
      sum_over_keys(heads, block, heads.value, scores, inverse, out + g * dim, out_stride);
    }
  }
}

void attend_span_back(const SpanHeads& heads, const SpanSlopes& slopes) {
  const int64_t dim = heads.head_dim;
  Workspace& own = workspace;
  for (int64_t at = 0; at < heads.tokens; at += most_lanes) {
    const QueryBlock block(heads, at);
    for (int64_t g = 0; g < heads.group; ++g) {
      const float *query = heads.query + g * dim, *upstream = slopes.upstream + g * dim;
      float* shares = products_of(heads, block, heads.key, as_columns(query, heads.stride, block, dim, own.query),
                                  heads.scale, own.scores);
      alignas(32) float shift[most_lanes] = {}, sums[most_lanes];
      for (int64_t i = 0; i < block.count; ++i) shift[i] = slopes.normalisers[(block.first + i) * slopes.all_heads + g];
      for (int64_t lane = 0; lane < block.lanes; lane += 8)
        _mm256_store_ps(sums + lane, exponentiate_lanes(heads, block, lane, _mm256_load_ps(shift + lane), shares));
      float* products =
          products_of(heads, block, heads.value, as_columns(upstream, slopes.upstream_stride, block, dim, own.upstream),
                      1.0f, own.slopes);
      slopes_of_scores(heads, block, shares, sums, products);
      sum_over_keys(heads, block, heads.key, products, nullptr, slopes.query + g * dim, heads.stride);
      add_over_queries(heads, block, products, as_rows(query, heads.stride, block, dim, own.query_rows), slopes.key);
      add_over_queries(heads, block, shares, as_rows(upstream, slopes.upstream_stride, block, dim, own.upstream_rows),
                       slopes.value);
    }
  }
}

#pragma GCC pop_options
#else

void attend_span(const SpanHeads&, float*, int64_t, float*, int64_t) {}
void attend_span_back(const SpanHeads&, const SpanSlopes&) {}

#endif

}  // namespace cmc::cpu
