#pragma once
#include <cstring>

#include "pipeline/kernels/body.hpp"

namespace cmc::kernels {

struct Bfloat16 {
  uint16_t bits;
};

CMC_BODY uint32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
#endif
}
CMC_BODY float float_of(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
#endif
}

CMC_BODY float wide(float x) {
  return x;
}
CMC_BODY float wide(Bfloat16 x) {
  return float_of(static_cast<uint32_t>(x.bits) << 16);
}

// To the nearest T, to the even one of two (as LibTorch rounds).
template <class T>
CMC_BODY T narrow(float x);
template <>
CMC_BODY float narrow<float>(float x) {
  return x;
}
template <>
CMC_BODY Bfloat16 narrow<Bfloat16>(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return {0x7FC0};
  return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}
template <class T>
CMC_BODY float rounded(float x) {
  return wide(narrow<T>(x));
}

// Numbers that one instruction loads or stores: 16 bytes where whole rows of them are aligned, else one.
template <class T>
inline constexpr int pack_size = 16 / static_cast<int>(sizeof(T));

template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T value[N];
};

template <class T>
CMC_BODY bool packs(const T* pointer, int64_t width) {
  return pointer == nullptr || (reinterpret_cast<uintptr_t>(pointer) % 16 == 0 && width % pack_size<T> == 0);
}

template <int N, class T>
CMC_BODY void load(const T* from, float (&to)[N]) {
  const auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
  CMC_UNROLL
  for (int i = 0; i < N; ++i) to[i] = wide(pack.value[i]);
}
template <int N, class T>
CMC_BODY void store(const float (&from)[N], T* to) {
  Pack<T, N> pack;
  CMC_UNROLL
  for (int i = 0; i < N; ++i) pack.value[i] = narrow<T>(from[i]);
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(pack) ==
                sizeof(uint4)) {  // said, since the compiler splits it where the numbers come by branches
    __stwb(reinterpret_cast<uint4*>(to), *reinterpret_cast<const uint4*>(&pack));
    return;
  }
#endif
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

CMC_BODY float inverse_root(float squares, int64_t width, float epsilon) {
  return 1.0f / sqrtf(squares / static_cast<float>(width) + epsilon);
}

}  // namespace cmc::kernels
