#pragma once
#include <cmath>
#include <cstdint>

// What the bodies of kernels are made of. A body is one kernel as plain code of a block, a thread of it and the block's
// shared memory, cut at its barriers into phases: nvcc compiles it for a device, g++ for the host, where it runs thread
// by thread. It has
//   Arguments, Shared, Private       plain structs; Private is what a thread keeps from phase to phase
//   threads                          of a block
//   grid(arguments)                  blocks, on the host
//   phases(arguments, place)         how many; the same for all threads of a block
//   phase(number, arguments, place, shared, private)
// Everything here but multiply_add, add_to, raise_to, read_fresh and fence is the same code on both.
#if defined(__CUDACC__)
#define CMC_BODY __host__ __device__ __forceinline__
#else
#define CMC_BODY inline
#endif
#if defined(__CUDA_ARCH__)
#define CMC_UNROLL _Pragma("unroll")  // so that arrays indexed by the loop's number lie in registers
#else
#define CMC_UNROLL
#endif

namespace cmc::kernels {

struct Grid {
  int64_t x = 1, y = 1, z = 1;
};
struct Place {
  int64_t x, y, z;  // of the block
  int thread;
};

template <class V>
CMC_BODY V smaller(V a, V b) {
  return b < a ? b : a;
}
template <class V>
CMC_BODY V larger(V a, V b) {
  return a < b ? b : a;
}
CMC_BODY int64_t pieces_of(int64_t count, int64_t piece) {
  return (count + piece - 1) / piece;
}

CMC_BODY float multiply_add(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// Adds in one step that no other thread can come between; returns what was there.
template <class V>
CMC_BODY V add_to(V* to, V value) {
  static_assert(sizeof(V) == 4 || sizeof(V) == 8);
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(V) == 4)
    return static_cast<V>(atomicAdd(reinterpret_cast<unsigned int*>(to), value));
  else
    return static_cast<V>(atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value)));
#else
  const V before = *to;
  *to = before + value;
  return before;
#endif
}

// Raises *to to `value` if it is smaller, in one step.
CMC_BODY void raise_to(uint64_t* to, uint64_t value) {
#if defined(__CUDA_ARCH__)
  atomicMax(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
#else
  *to = larger(*to, value);
#endif
}

// What another block wrote before a fence: not from the first-level cache, which does not see it.
template <class V>
CMC_BODY V read_fresh(const V* from) {
#if defined(__CUDA_ARCH__)
  return __ldcg(from);
#else
  return *from;
#endif
}

// What the thread wrote is seen by other blocks before what it writes next.
CMC_BODY void fence() {
#if defined(__CUDA_ARCH__)
  __threadfence();
#endif
}

// True for the last of `blocks` blocks that come here; the ticket is 0 again then. One thread a block, after a barrier
// that follows the others' fences.
CMC_BODY bool comes_last(uint32_t* ticket, int64_t blocks) {
  if (add_to(ticket, 1u) + 1 < blocks) return false;
  *ticket = 0;
  fence();
  return true;
}

struct Sum {
  template <class V>
  CMC_BODY static V join(V a, V b) {
    return a + b;
  }
};
struct Largest {
  template <class V>
  CMC_BODY static V join(V a, V b) {
    return larger(a, b);
  }
};
struct Smallest {
  template <class V>
  CMC_BODY static V join(V a, V b) {
    return smaller(a, b);
  }
};

// One value of all threads of a block, joined in a fixed order: put, barrier, gather, barrier, all (or before). Through
// shared memory rather than by shuffles, so that the host runs what the device runs.
template <class V, int threads, class Join>
struct Joined {
  static constexpr int group = 16, groups = threads / group;
  static_assert(threads % group == 0);
  V each[threads], of_group[groups];

  CMC_BODY void put(int thread, V value) { each[thread] = value; }
  CMC_BODY void gather(int thread) {
    if (thread >= groups) return;
    V joined = each[thread * group];
    for (int i = 1; i < group; ++i) joined = Join::join(joined, each[thread * group + i]);
    of_group[thread] = joined;
  }
  CMC_BODY V all() const {
    V joined = of_group[0];
    for (int i = 1; i < groups; ++i) joined = Join::join(joined, of_group[i]);
    return joined;
  }
  // Of the threads before this one; `none` for the first.
  CMC_BODY V before(int thread, V none) const {
    V joined = none;
    for (int i = 0; i < thread / group; ++i) joined = Join::join(joined, of_group[i]);
    for (int i = thread / group * group; i < thread; ++i) joined = Join::join(joined, each[i]);
    return joined;
  }
};

}  // namespace cmc::kernels
