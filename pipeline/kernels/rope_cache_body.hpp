#pragma once
#include "pipeline/kernels/numbers.hpp"
#include "pipeline/kernels/rope_cache.hpp"

namespace cmc::kernels {

// A block for each head of each token: query heads, then key heads, then value heads.
template <class T>
struct RopeCacheBody {
  using Arguments = RopeCache;
  static constexpr int threads = 64;
  struct Shared {
    Joined<float, threads, Sum> squares;
  };
  struct Private {};

  static Grid grid(const RopeCache& a) { return {a.count, a.heads + 2 * a.kv_heads}; }
  CMC_BODY static int phases(const RopeCache& a, const Place& at) { return norm_of(a, at.y) != nullptr ? 3 : 1; }
  CMC_BODY static void phase(int number, const RopeCache& a, const Place& at, Shared& shared, Private&) {
    const T* norm = norm_of(a, at.y);
    const T* head = static_cast<const T*>(a.joined) + (at.x * (a.heads + 2 * a.kv_heads) + at.y) * a.dim;
    if (norm != nullptr && number == 0) shared.squares.put(at.thread, squares_of(head, a.dim, at.thread));
    if (norm != nullptr && number == 1) shared.squares.gather(at.thread);
    if (norm != nullptr && number < 2) return;
    T* to = target(a, at);
    if (to == nullptr) return;
    if (at.y >= a.heads + a.kv_heads) {
      for (int64_t i = at.thread; i < a.dim; i += threads) to[i] = head[i];
    } else {
      turn(a, at, head, norm, norm == nullptr ? 1.0f : inverse_root(shared.squares.all(), a.dim, a.epsilon), to);
    }
  }

 private:
  CMC_BODY static const T* norm_of(const RopeCache& a, int64_t part) {
    return static_cast<const T*>(part < a.heads ? a.query_norm : part < a.heads + a.kv_heads ? a.key_norm : nullptr);
  }
  // Where the head goes; null: nowhere.
  CMC_BODY static T* target(const RopeCache& a, const Place& at) {
    if (at.y < a.heads) return static_cast<T*>(a.query) + (at.x * a.heads + at.y) * a.dim;
    if (a.slots[at.x] < 0) return nullptr;
    const int64_t head = (at.y - a.heads) % a.kv_heads, row = a.slots[at.x] * a.capacity + a.places[at.x];
    return static_cast<T*>(at.y < a.heads + a.kv_heads ? a.keys : a.values) + (row * a.kv_heads + head) * a.dim;
  }
  CMC_BODY static float squares_of(const T* head, int64_t dim, int thread) {
    float squares = 0.0f;
    for (int64_t i = thread; i < dim; i += threads) squares += wide(head[i]) * wide(head[i]);
    return squares;
  }
  CMC_BODY static float number_of(const T* head, int64_t i, const T* norm, float scale, bool adds_one) {
    const float x = wide(head[i]);
    return norm == nullptr ? x : scaled<T>(x * scale, wide(norm[i]), adds_one);
  }
  // Each product is rounded to T, then their sum, as torch operations do.
  CMC_BODY static void turn(const RopeCache& a, const Place& at, const T* head, const T* norm, float scale, T* to) {
    const int64_t half = a.dim / 2;
    for (int64_t i = at.thread; i < half; i += threads) {
      const float x = number_of(head, i, norm, scale, a.adds_one),
                  y = number_of(head, half + i, norm, scale, a.adds_one);
      const float cosine = rounded<T>(a.cosine[at.x * half + i]), sine = rounded<T>(a.sine[at.x * half + i]);
      to[i] = narrow<T>(rounded<T>(x * cosine) - rounded<T>(y * sine));
      to[half + i] = narrow<T>(rounded<T>(y * cosine) + rounded<T>(x * sine));
    }
  }
};

}  // namespace cmc::kernels
