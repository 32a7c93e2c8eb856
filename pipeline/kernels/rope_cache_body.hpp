#pragma once
#include "pipeline/kernels/add_norm_body.hpp"
#include "pipeline/kernels/rope_cache.hpp"

namespace cmc::kernels {

// A block for each head of each token: query heads, then key heads, then value heads.
template <class T>
struct RopeCacheBody {
  using Arguments = RopeCache;
  static constexpr int threads = 64;
  struct Shared {
    Joined<float, threads, Sum> sums, squares;
  };
  struct Private {};

  static Grid grid(const RopeCache& a) { return {a.count, a.heads + 2 * a.kv_heads}; }
  CMC_BODY static int phases(const RopeCache& a, const Place& at) {
    const NormOf norm = norm_of(a, at.y);
    return !norm.is_there ? 1 : norm.centred ? 5 : 3;
  }
  CMC_BODY static void phase(int number, const RopeCache& a, const Place& at, Shared& shared, Private&) {
    const NormOf norm = norm_of(a, at.y);
    const T* head = static_cast<const T*>(a.joined) + (at.x * (a.heads + 2 * a.kv_heads) + at.y) * a.dim;
    const int left = phases(a, at) - 1 - number;  // 4, 3: the mean; 2, 1: the variance
    const auto mean = [&] { return norm.centred ? shared.sums.all() / static_cast<float>(a.dim) : 0.0f; };
    if (left == 4) return shared.sums.put(at.thread, sum_of(head, a.dim, at.thread));
    if (left == 3) return shared.sums.gather(at.thread);
    if (left == 2) return shared.squares.put(at.thread, squares_of(head, mean(), a.dim, at.thread));
    if (left == 1) return shared.squares.gather(at.thread);
    T* to = target(a, at);
    if (to == nullptr) return;
    if (at.y >= a.heads + a.kv_heads) {
      for (int64_t i = at.thread; i < a.dim; i += threads) to[i] = head[i];
    } else {
      const float scale = norm.is_there ? inverse_root(shared.squares.all(), a.dim, norm.epsilon) : 1.0f;
      turn(a, at, head, {norm, norm.is_there ? mean() : 0.0f, scale}, to);
    }
  }

 private:
  // A head's norm, and what it does to this one.
  struct Normed {
    const NormOf& norm;
    float mean, scale;
    CMC_BODY float number(const T* head, int64_t i) const {
      const float x = wide(head[i]);
      return norm.is_there ? normed<T>(norm, x, mean, scale, i) : x;
    }
  };

  CMC_BODY static NormOf norm_of(const RopeCache& a, int64_t part) {
    const bool is_query = part < a.heads;
    if (part >= a.heads + a.kv_heads) return {};
    NormOf norm = is_query ? a.query_norm : a.key_norm;
    const int64_t offset = (is_query ? part : part - a.heads) * a.norm_stride;
    if (norm.weight != nullptr) norm.weight = static_cast<const T*>(norm.weight) + offset;
    if (norm.bias != nullptr) norm.bias = static_cast<const T*>(norm.bias) + offset;
    return norm;
  }
  // Where the head goes; null: nowhere.
  CMC_BODY static T* target(const RopeCache& a, const Place& at) {
    if (at.y < a.heads) return static_cast<T*>(a.query) + (at.x * a.heads + at.y) * a.dim;
    if (a.slots[at.x] < 0) return nullptr;
    const int64_t head = (at.y - a.heads) % a.kv_heads, row = a.slots[at.x] * a.capacity + a.places[at.x];
    return static_cast<T*>(at.y < a.heads + a.kv_heads ? a.keys : a.values) + (row * a.kv_heads + head) * a.dim;
  }
  CMC_BODY static float sum_of(const T* head, int64_t dim, int thread) {
    float sum = 0.0f;
    for (int64_t i = thread; i < dim; i += threads) sum += wide(head[i]);
    return sum;
  }
  CMC_BODY static float squares_of(const T* head, float mean, int64_t dim, int thread) {
    float squares = 0.0f;
    for (int64_t i = thread; i < dim; i += threads) squares += (wide(head[i]) - mean) * (wide(head[i]) - mean);
    return squares;
  }
  // Each product is rounded to T, then their sum, as torch operations do.
  CMC_BODY static void turn(const RopeCache& a, const Place& at, const T* head, const Normed& normed, T* to) {
    const int64_t half = a.dim / 2;
    for (int64_t i = at.thread; i < half; i += threads) {
      const float x = normed.number(head, i), y = normed.number(head, half + i);
      const float cosine = rounded<T>(a.cosine[at.x * half + i]), sine = rounded<T>(a.sine[at.x * half + i]);
      to[i] = narrow<T>(rounded<T>(x * cosine) - rounded<T>(y * sine));
      to[half + i] = narrow<T>(rounded<T>(y * cosine) + rounded<T>(x * sine));
    }
  }
};

}  // namespace cmc::kernels
