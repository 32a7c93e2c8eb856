#pragma once
#include "pipeline/kernels/attend_cache.hpp"
#include "pipeline/kernels/numbers.hpp"

namespace cmc::kernels {

// The keys of a token are split into stretches of equal length, of absolute places, so that a grid made for a capacity
// fits every length; blocks beyond a token's reach do nothing.
struct AttendSplit {
  static constexpr int64_t tile = 64, heads = 4;  // keys at once; query heads of a group that one block takes
  static constexpr int64_t blocks = 264;          // split until there are so many: two a multiprocessor of a large card
  int64_t chunks = 1;                             // of a group's heads
  int64_t count = 1, length = 1;                  // stretches and their places
};
struct AttendLaunch {
  AttendCache cache;
  AttendSplit split;
};

inline AttendLaunch attend_launch(const AttendCache& a) {
  constexpr int64_t tile = AttendSplit::tile;
  AttendSplit split;
  split.chunks = pieces_of(a.heads / a.kv_heads, AttendSplit::heads);
  const int64_t wanted =
      smaller(pieces_of(AttendSplit::blocks, a.count * a.kv_heads * split.chunks), pieces_of(a.capacity, 4 * tile));
  split.length = pieces_of(pieces_of(a.capacity, wanted), tile) * tile;
  split.count = pieces_of(a.capacity, split.length);
  return {a, split};
}

// A block for each token, up to four query heads of one key head, and stretch of keys. Four phases for each tile of
// keys: scores, their maximum, exponentials, values.
template <class T>
struct AttendCacheBody {
  using Arguments = AttendLaunch;
  static constexpr int threads = 128;
  static constexpr int tile = AttendSplit::tile, most_heads = AttendSplit::heads;
  static constexpr int most = most_heads * static_cast<int>(attend_largest_dim) / threads;
  struct Shared {
    float query[most_heads * attend_largest_dim];
    float scores[most_heads * tile];
    float maximum[most_heads], sum[most_heads], factor[most_heads];
    bool last;
  };
  // What a block covers: heads [head, head + heads) of key head kv, places [begin, end) of the slot.
  struct Reach {
    int64_t kv, head, begin, end;
    int64_t first_part, parts;  // stretches that hold keys of this token
    int heads, tiles;
  };
  struct Private {
    Reach reach;
    float mixed[most];  // of item thread + i · threads of [heads, dim], before the division by the sum
  };

  static Grid grid(const AttendLaunch& launch) {
    return {launch.cache.count, launch.cache.kv_heads * launch.split.chunks, launch.split.count};
  }
  CMC_BODY static int phases(const AttendLaunch& launch, const Place& at) {
    const int tiles = reach_of(launch, at).tiles;
    return tiles == 0 ? 1 : 1 + 4 * tiles + 3;
  }
  CMC_BODY static void phase(int number, const AttendLaunch& launch, const Place& at, Shared& shared, Private& mine) {
    const AttendCache& a = launch.cache;
    if (number == 0) {
      mine.reach = reach_of(launch, at);
      if (mine.reach.tiles > 0)
        start(a, at, mine.reach, shared, mine);
      else if (a.slots[at.x] < 0 && at.z == 0)
        clear(a, at, mine.reach);
      return;
    }
    const Reach& reach = mine.reach;
    if (number > 4 * reach.tiles) return finish(number - 4 * reach.tiles - 1, launch, at, reach, shared, mine);
    const int64_t first = reach.begin + (number - 1) / 4 * tile;
    const int keys = static_cast<int>(smaller<int64_t>(tile, reach.end - first));
    if ((number - 1) % 4 == 0) score(a, at, reach, first, keys, shared);
    if ((number - 1) % 4 == 1) raise(at, reach, keys, shared);
    if ((number - 1) % 4 == 2) exponentials(at, reach, keys, shared);
    if ((number - 1) % 4 == 3) mix(a, at, reach, first, keys, shared, mine);
  }

 private:
  CMC_BODY static Reach reach_of(const AttendLaunch& launch, const Place& at) {
    const AttendCache& a = launch.cache;
    const AttendSplit& split = launch.split;
    const int64_t group = a.heads / a.kv_heads, chunk = at.y % split.chunks;
    Reach reach = {};
    reach.kv = at.y / split.chunks;
    reach.head = reach.kv * group + chunk * most_heads;
    reach.heads = static_cast<int>(smaller<int64_t>(most_heads, group - chunk * most_heads));
    if (a.slots[at.x] < 0) return reach;
    const int64_t place = a.places[at.x], first = a.window > 0 ? larger<int64_t>(0, place + 1 - a.window) : 0;
    reach.begin = larger(first, at.z * split.length);
    reach.end = smaller(place + 1, (at.z + 1) * split.length);
    if (reach.begin < reach.end) reach.tiles = static_cast<int>(pieces_of(reach.end - reach.begin, tile));
    reach.first_part = first / split.length;
    reach.parts = place / split.length - reach.first_part + 1;
    return reach;
  }

  CMC_BODY static const T* row_of(const AttendCache& a, const Place& at, const void* cache, int64_t place, int64_t kv) {
    return static_cast<const T*>(cache) + ((a.slots[at.x] * a.capacity + place) * a.kv_heads + kv) * a.dim;
  }
  CMC_BODY static T* out_of(const AttendCache& a, const Place& at, int64_t head) {
    return static_cast<T*>(a.out) + (at.x * a.heads + head) * a.dim;
  }

  CMC_BODY static void clear(const AttendCache& a, const Place& at, const Reach& reach) {
    for (int64_t i = at.thread; i < reach.heads * a.dim; i += threads) out_of(a, at, reach.head)[i] = narrow<T>(0.0f);
  }

  CMC_BODY static void start(const AttendCache& a, const Place& at, const Reach& reach, Shared& shared, Private& mine) {
    const T* query = static_cast<const T*>(a.query) + (at.x * a.heads + reach.head) * a.dim;
    for (int64_t i = at.thread; i < reach.heads * a.dim; i += threads) shared.query[i] = wide(query[i]);
    for (int i = 0; i < most; ++i) mine.mixed[i] = 0.0f;
    if (at.thread < reach.heads) {
      shared.maximum[at.thread] = -INFINITY;
      shared.sum[at.thread] = 0.0f;
    }
  }

  template <int N>
  CMC_BODY static float product(const float* query, const T* key, int64_t dim) {
    float sum = 0.0f;
    for (int64_t i = 0; i < dim; i += N) {
      float k[N];
      load<N>(key + i, k);
      for (int j = 0; j < N; ++j) sum = multiply_add(query[i + j], k[j], sum);
    }
    return sum;
  }

  CMC_BODY static void score(const AttendCache& a, const Place& at, const Reach& reach, int64_t first, int keys,
                             Shared& shared) {
    const bool packed = packs(static_cast<const T*>(a.keys), a.dim);
    for (int i = at.thread; i < reach.heads * tile; i += threads) {
      if (i % tile >= keys) continue;
      const T* key = row_of(a, at, a.keys, first + i % tile, reach.kv);
      const float* query = shared.query + i / tile * a.dim;
      float score = a.scale * (packed ? product<pack_size<T>>(query, key, a.dim) : product<1>(query, key, a.dim));
      if (a.softcap > 0.0f) score = a.softcap * tanhf(score / a.softcap);
      if (a.bias != nullptr) score += a.bias[(reach.head + i / tile) * a.bias_stride + first + i % tile];
      shared.scores[i] = score;
    }
  }

  // The new maximum, and what the sums so far shrink by.
  CMC_BODY static void raise(const Place& at, const Reach& reach, int keys, Shared& shared) {
    if (at.thread >= reach.heads) return;
    float maximum = shared.maximum[at.thread];
    for (int i = 0; i < keys; ++i) maximum = larger(maximum, shared.scores[at.thread * tile + i]);
    shared.factor[at.thread] = expf(shared.maximum[at.thread] - maximum);
    shared.maximum[at.thread] = maximum;
  }

  CMC_BODY static void exponentials(const Place& at, const Reach& reach, int keys, Shared& shared) {
    for (int i = at.thread; i < reach.heads * tile; i += threads)
      if (i % tile < keys) shared.scores[i] = expf(shared.scores[i] - shared.maximum[i / tile]);
  }

  CMC_BODY static void mix(const AttendCache& a, const Place& at, const Reach& reach, int64_t first, int keys,
                           Shared& shared, Private& mine) {
    const int dim = static_cast<int>(a.dim), items = reach.heads * dim;
    const T* values = row_of(a, at, a.values, first, reach.kv);
    const int64_t stride = a.kv_heads * a.dim;
    CMC_UNROLL
    for (int n = 0; n < most; ++n) {
      const int item = at.thread + n * threads;
      if (item >= items) break;
      const float* weights = shared.scores + item / dim * tile;
      const T* value = values + item % dim;
      float mixed = mine.mixed[n] * shared.factor[item / dim];
      for (int i = 0; i < keys; ++i) mixed = multiply_add(weights[i], wide(value[i * stride]), mixed);
      mine.mixed[n] = mixed;
    }
    if (at.thread >= reach.heads) return;
    float sum = shared.sum[at.thread] * shared.factor[at.thread];
    for (int i = 0; i < keys; ++i) sum += shared.scores[at.thread * tile + i];
    shared.sum[at.thread] = sum;
  }

  // The workspace: a ticket for each token and chunk of heads (only where keys are split, which bounds their number),
  // then [tokens, heads, stretches] maxima, sums, and [dim] mixed values.
  struct Parts {
    CMC_BODY Parts(const AttendLaunch& launch, const Place& at)
        : ticket(static_cast<uint32_t*>(launch.cache.workspace) + at.x * launch.cache.kv_heads * launch.split.chunks +
                 at.y),
          of_token(static_cast<float*>(launch.cache.workspace) + AttendSplit::blocks +
                   at.x * launch.cache.heads * launch.split.count * (launch.cache.dim + 2)),
          stretches(launch.split.count),
          dim(launch.cache.dim) {}
    CMC_BODY float* of(int64_t head, int64_t stretch) const {
      return of_token + (head * stretches + stretch) * (dim + 2);
    }
    uint32_t* ticket;
    float* of_token;
    int64_t stretches, dim;
  };

  CMC_BODY static void finish(int step, const AttendLaunch& launch, const Place& at, const Reach& reach, Shared& shared,
                              Private& mine) {
    const Parts parts(launch, at);
    if (step == 0) keep(launch.cache, at, reach, parts, shared, mine);
    if (step == 1 && at.thread == 0) shared.last = reach.parts > 1 && comes_last(parts.ticket, reach.parts);
    if (step == 2 && shared.last) join(launch.cache, at, reach, parts);
  }

  // What mixed values are multiplied with when all keys are in: one over the sum of exponentials, the sink's among
  // them.
  CMC_BODY static float share(const AttendCache& a, int64_t head, float maximum, float sum) {
    if (a.sinks == nullptr) return 1.0f / sum;
    const float top = larger(maximum, a.sinks[head]), factor = expf(maximum - top);
    return factor / (sum * factor + expf(a.sinks[head] - top));
  }

  CMC_BODY static void keep(const AttendCache& a, const Place& at, const Reach& reach, const Parts& parts,
                            Shared& shared, Private& mine) {
    const int dim = static_cast<int>(a.dim), items = reach.heads * dim;
    CMC_UNROLL
    for (int n = 0; n < most; ++n) {
      const int item = at.thread + n * threads, head = item / dim;
      if (item >= items) break;
      if (reach.parts == 1)
        out_of(a, at, reach.head)[item] =
            narrow<T>(mine.mixed[n] * share(a, reach.head + head, shared.maximum[head], shared.sum[head]));
      else
        parts.of(reach.head + head, at.z)[2 + item % dim] = mine.mixed[n];
    }
    if (reach.parts > 1 && at.thread < reach.heads) {
      float* part = parts.of(reach.head + at.thread, at.z);
      part[0] = shared.maximum[at.thread];
      part[1] = shared.sum[at.thread];
    }
    fence();
  }

  CMC_BODY static void join(const AttendCache& a, const Place& at, const Reach& reach, const Parts& parts) {
    const int64_t from = reach.first_part, to = from + reach.parts;
    for (int64_t item = at.thread; item < reach.heads * a.dim; item += threads) {
      const int64_t head = reach.head + item / a.dim;
      float maximum = -INFINITY, sum = 0.0f, mixed = 0.0f;
      for (int64_t p = from; p < to; ++p) maximum = larger(maximum, read_fresh(parts.of(head, p)));
      for (int64_t p = from; p < to; ++p) {
        const float* part = parts.of(head, p);
        const float factor = expf(read_fresh(part) - maximum);
        sum = multiply_add(factor, read_fresh(part + 1), sum);
        mixed = multiply_add(factor, read_fresh(part + 2 + item % a.dim), mixed);
      }
      out_of(a, at, reach.head)[item] = narrow<T>(mixed * share(a, head, maximum, sum));
    }
  }
};

}  // namespace cmc::kernels
