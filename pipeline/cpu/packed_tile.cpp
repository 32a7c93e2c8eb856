#include "pipeline/cpu/packed_tile.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#include <array>
#include <utility>

namespace cmc::cpu {

namespace {

using Multiply = void (*)(const PackedTile&);

constexpr int most_strips = 4;

// What a word is to a weight: its float32, or the first or second of two bfloat16.
enum class Widening { none, first, second };

constexpr int second_half = static_cast<int>(0xFFFF0000u);

// Products are added by hand-picked instructions: the compiler's choice among its three forms moves sums about and runs
// out of registers.

namespace avx2 {
#define CMC_TARGET __attribute__((target("avx2,fma")))
#define CMC_INLINE CMC_TARGET __attribute__((always_inline)) inline

constexpr InstructionSet set = InstructionSet::avx2;
struct Strip {
  __m256 low, high;
};
using Value = __m256;

CMC_INLINE Strip zeros() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
CMC_INLINE Strip load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
CMC_INLINE void store(const Strip& strip, float* to) {
  _mm256_storeu_ps(to, strip.low);
  _mm256_storeu_ps(to + 8, strip.high);
}
CMC_INLINE Value everywhere(const float* one) {
  return _mm256_broadcast_ss(one);
}
CMC_INLINE void add_product(const Value& value, const Strip& weights, Strip& sum) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum.low) : "x"(value), "x"(weights.low));
  asm volatile("vfmadd231ps %2, %1, %0" : "+x"(sum.high) : "x"(value), "x"(weights.high));
}
template <Widening HOW>
CMC_INLINE __m256 widened_eight(const uint32_t* words) {
  const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  if constexpr (HOW == Widening::none) return _mm256_castsi256_ps(eight);
  if constexpr (HOW == Widening::first) return _mm256_castsi256_ps(_mm256_slli_epi32(eight, 16));
  return _mm256_castsi256_ps(_mm256_and_si256(eight, _mm256_set1_epi32(second_half)));
}
template <Widening HOW>
CMC_INLINE Strip widened(const uint32_t* words) {
  return {widened_eight<HOW>(words), widened_eight<HOW>(words + 8)};
}

#include "pipeline/cpu/packed_tile.inc"

#undef CMC_TARGET
#undef CMC_INLINE
}  // namespace avx2

namespace avx512 {
#define CMC_TARGET __attribute__((target("avx512f")))
#define CMC_INLINE CMC_TARGET __attribute__((always_inline)) inline

constexpr InstructionSet set = InstructionSet::avx512;
using Strip = __m512;
using Value = __m512;
using Words __attribute__((vector_size(64))) = uint32_t;

CMC_INLINE Strip zeros() {
  return _mm512_setzero_ps();
}
CMC_INLINE Strip load(const float* from) {
  return _mm512_loadu_ps(from);
}
CMC_INLINE void store(const Strip& strip, float* to) {
  _mm512_storeu_ps(to, strip);
}
CMC_INLINE Value everywhere(const float* one) {
  return _mm512_set1_ps(*one);
}
CMC_INLINE void add_product(const Value& value, const Strip& weights, Strip& sum) {
  asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(value), "v"(weights));
}
template <Widening HOW>
CMC_INLINE Strip widened(const uint32_t* words) {
  const __m512i sixteen = _mm512_loadu_si512(words);
  if constexpr (HOW == Widening::none) return _mm512_castsi512_ps(sixteen);
  // GCC 12 warns of its own _mm512_slli_epi32.
  if constexpr (HOW == Widening::first) return reinterpret_cast<Strip>(reinterpret_cast<Words>(sixteen) << 16);
  return _mm512_castsi512_ps(_mm512_and_si512(sixteen, _mm512_set1_epi32(second_half)));
}

#include "pipeline/cpu/packed_tile.inc"

#undef CMC_TARGET
#undef CMC_INLINE
}  // namespace avx512

}  // namespace

void multiply_tile(InstructionSet set, const PackedTile& tile, int64_t rows, int64_t strips, bool narrow) {
  (set == InstructionSet::avx512 ? avx512::run : avx2::run)(tile, rows, strips, narrow);
}

}  // namespace cmc::cpu

#else

void cmc::cpu::multiply_tile(InstructionSet, const PackedTile&, int64_t, int64_t, bool) {}

#endif
