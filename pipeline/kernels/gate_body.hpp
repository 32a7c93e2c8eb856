#pragma once
#include "pipeline/kernels/gate.hpp"
#include "pipeline/kernels/numbers.hpp"

namespace cmc::kernels {

CMC_BODY float activated(Activation activation, float x) {
  if (activation == Activation::silu) return x / (1.0f + expf(-x));
  if (activation == Activation::gelu) return x * 0.5f * (1.0f + erff(x * 0.70710678118654752f));
  if (activation == Activation::gelu_quick) return x / (1.0f + expf(-1.702f * x));
  if (activation == Activation::relu) return x > 0.0f ? x : 0.0f;
  if (activation == Activation::relu_squared) return x > 0.0f ? x * x : 0.0f;
  // tanh form: sqrt(2 / pi) (x + 0.044715 x³)
  return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

// A block for each stretch of a row.
template <class T>
struct GateBody {
  using Arguments = Gate;
  static constexpr int threads = 256;
  static constexpr int64_t stretch = threads * pack_size<T>;
  struct Shared {};
  struct Private {};

  static Grid grid(const Gate& a) { return {a.rows, pieces_of(a.width, stretch)}; }
  CMC_BODY static int phases(const Gate&, const Place&) { return 1; }
  CMC_BODY static void phase(int, const Gate& a, const Place& at, Shared&, Private&) {
    if (packs(static_cast<const T*>(a.joined), a.width) && packs(static_cast<const T*>(a.out), a.width))
      gate<pack_size<T>>(a, at);
    else
      gate<1>(a, at);
  }

 private:
  template <int N>
  CMC_BODY static void gate(const Gate& a, const Place& at) {
    const T* from = static_cast<const T*>(a.joined) + at.x * (a.gated ? 2 : 1) * a.width;
    T* out = static_cast<T*>(a.out) + at.x * a.width;
    const int64_t end = smaller(a.width, (at.y + 1) * stretch);
    for (int64_t i = at.y * stretch + at.thread * N; i < end; i += threads * N) {
      float x[N], up[N] = {};
      load<N>(from + i, x);
      if (a.gated) load<N>(from + a.width + i, up);
      CMC_UNROLL
      for (int j = 0; j < N; ++j) {
        const float active = activated(a.activation, x[j]);
        x[j] = a.gated ? rounded<T>(active) * up[j] : active;
      }
      store<N>(x, out + i);
    }
  }
};

}  // namespace cmc::kernels
