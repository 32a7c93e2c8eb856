#pragma once
#include "pipeline/kernels/embed.hpp"
#include "pipeline/kernels/numbers.hpp"

namespace cmc::kernels {

// A block for each token.
template <class T>
struct EmbedBody {
  using Arguments = Embed;
  static constexpr int threads = 128;
  struct Shared {};
  struct Private {};

  static Grid grid(const Embed& a) { return {a.count}; }
  CMC_BODY static int phases(const Embed&, const Place&) { return 1; }
  CMC_BODY static void phase(int, const Embed& a, const Place& at, Shared&, Private&) {
    const auto* table = static_cast<const T*>(a.table);
    auto* out = static_cast<T*>(a.out) + at.x * a.width;
    const int64_t row = token_of(a, at.x) - a.first;
    const T* from = row >= 0 && row < a.rows ? table + row * a.width : nullptr;
    if (packs(table, a.width) && packs(out, a.width))
      copy<pack_size<T>>(a, from, at.thread, out);
    else
      copy<1>(a, from, at.thread, out);
  }

 private:
  CMC_BODY static int64_t token_of(const Embed& a, int64_t n) {
    if (a.tokens[n] >= 0) return a.tokens[n];
    return a.slots == nullptr || a.slots[n] < 0 ? 0 : a.chosen[a.slots[n]];
  }
  template <int N>
  CMC_BODY static void copy(const Embed& a, const T* from, int thread, T* out) {
    const float scale = rounded<T>(a.scale);
    for (int64_t i = thread * N; i < a.width; i += threads * N) {
      float x[N] = {};
      if (from != nullptr) load<N>(from + i, x);
      for (int j = 0; j < N; ++j) x[j] *= scale;
      store<N>(x, out + i);
    }
  }
};

}  // namespace cmc::kernels
