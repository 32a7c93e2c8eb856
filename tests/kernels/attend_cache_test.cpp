// Attention over the static cache against a loop in double.
#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/kernels/attend_cache_body.hpp"
#include "tests/kernels/host_order.hpp"

namespace cmc::kernels::tests {
namespace {

struct Shape {
  int64_t heads, kv_heads, dim, capacity;
};

template <class T>
struct World {
  Shape shape;
  int64_t window;
  float softcap, scale;
  std::vector<int32_t> slots, places;
  std::vector<T> query, keys, values, out;
  std::vector<unsigned char> workspace;
  std::vector<float> bias, sinks;  // empty: none

  World(Shape s, std::vector<int32_t> slot, std::vector<int32_t> place, int64_t w, float cap)
      : shape(s),
        window(w),
        softcap(cap),
        scale(1.3f / std::sqrt(static_cast<float>(s.dim))),
        slots(slot),
        places(place) {
    const int64_t count = std::ssize(slots), numbers = 3 * s.capacity * s.kv_heads * s.dim;
    query = normal<T>(count * s.heads * s.dim, 21, 1.5);
    keys = normal<T>(numbers, 22, 1.5);
    values = normal<T>(numbers, 23);
    out = poisoned<T>(count * s.heads * s.dim);
    workspace.resize(static_cast<size_t>(4 * AttendSplit::blocks * (1 + 2 * AttendSplit::heads * (s.dim + 2))));
    hide_what_is_beyond();
  }
  // The cache beyond the last place of each slot holds garbage: NaNs here.
  void hide_what_is_beyond() {
    for (int32_t slot = 0; slot < 3; ++slot) {
      int32_t last = -1;
      for (size_t n = 0; n < slots.size(); ++n)
        if (slots[n] == slot) last = std::max(last, places[n]);
      const int64_t row = shape.kv_heads * shape.dim;
      for (int64_t i = (slot * shape.capacity + last + 1) * row; i < (slot + 1) * shape.capacity * row; ++i)
        keys[static_cast<size_t>(i)] = values[static_cast<size_t>(i)] = narrow<T>(NAN);
    }
  }
  AttendCache arguments() {
    AttendCache a;
    a.type = type_of<T>;
    a.query = query.data(), a.keys = keys.data(), a.values = values.data(), a.out = out.data();
    a.count = std::ssize(slots), a.heads = shape.heads, a.kv_heads = shape.kv_heads, a.dim = shape.dim;
    a.slots = slots.data(), a.places = places.data(), a.capacity = shape.capacity;
    a.window = window, a.scale = scale, a.softcap = softcap, a.workspace = workspace.data();
    if (!bias.empty()) a.bias = bias.data(), a.bias_stride = shape.capacity + 3;
    if (!sinks.empty()) a.sinks = sinks.data();
    return a;
  }

  std::vector<double> expected(int64_t token, int64_t head) const {
    const int64_t kv = head / (shape.heads / shape.kv_heads), place = places[static_cast<size_t>(token)];
    const int64_t first = window > 0 ? std::max<int64_t>(0, place - window + 1) : 0;
    const auto at = [&](int64_t p) {
      return ((slots[static_cast<size_t>(token)] * shape.capacity + p) * shape.kv_heads + kv) * shape.dim;
    };
    std::vector<double> mixed(static_cast<size_t>(shape.dim), 0.0), scores;
    for (int64_t p = first; p <= place; ++p) {
      double score = 0.0;
      for (int64_t i = 0; i < shape.dim; ++i)
        score += number(query, (token * shape.heads + head) * shape.dim + i) * number(keys, at(p) + i);
      score *= scale;
      scores.push_back(softcap > 0.0f ? softcap * std::tanh(score / softcap) : score);
      if (!bias.empty()) scores.back() += bias[static_cast<size_t>(head * (shape.capacity + 3) + p)];
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double sum = sinks.empty() ? 0.0 : std::exp(sinks[static_cast<size_t>(head)] - top);
    for (size_t p = 0; p < scores.size(); ++p) {
      const double weight = std::exp(scores[p] - top);
      sum += weight;
      for (int64_t i = 0; i < shape.dim; ++i)
        mixed[static_cast<size_t>(i)] += weight * number(values, at(first + static_cast<int64_t>(p)) + i);
    }
    for (double& x : mixed) x /= sum;
    return mixed;
  }

  void check() {
    for (int64_t n = 0; n < std::ssize(slots); ++n) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        const bool padding = slots[static_cast<size_t>(n)] < 0;
        const auto want = padding ? std::vector<double>(static_cast<size_t>(shape.dim), 0.0) : expected(n, h);
        for (int64_t i = 0; i < shape.dim; ++i) {
          const double actual = number(out, (n * shape.heads + h) * shape.dim + i), x = want[static_cast<size_t>(i)];
          const double error = 4e-6;  // of weights whose sum is 1, times values of this order
          ASSERT_TRUE(to<T>(x - error) <= actual && actual <= to<T>(x + error))
              << n << " " << h << " " << i << ": " << actual << " for " << x;
        }
      }
    }
  }
};

template <class T>
void check(World<T> world) {
  const auto arguments = world.arguments();
  for (uint64_t again = 0; again < 2; ++again) {  // the workspace is left as it was found
    world.out = poisoned<T>(std::ssize(world.out));
    auto launch = attend_launch(arguments);
    launch.cache.out = world.out.data();
    run_on_host<AttendCacheBody<T>>(launch, Drawn(24 + again));
    world.check();
  }
}
template <class T>
void check(Shape shape, std::vector<int32_t> slots, std::vector<int32_t> places, int64_t window = 0,
           float softcap = 0.0f) {
  check(World<T>(shape, std::move(slots), std::move(places), window, softcap));
}

template <class T>
struct AttendCacheTest : testing::Test {};
using Types = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(AttendCacheTest, Types);

TYPED_TEST(AttendCacheTest, OneTokenOfManyLengths) {
  for (const int32_t place : {0, 1, 62, 63, 64, 65, 255, 256, 700, 1023})
    check<TypeParam>({3, 3, 64, 1024}, {1}, {place});
}

TYPED_TEST(AttendCacheTest, HeadsOfAnyGroupAndSize) {
  check<TypeParam>({4, 1, 256, 80}, {2, 0}, {77, 3});
  check<TypeParam>({12, 2, 20, 300}, {0, 2}, {290, 100});  // groups of six: four heads and two
  check<TypeParam>({2, 2, 7, 40}, {0}, {39});
  check<TypeParam>({1, 1, 1, 5}, {0}, {4});
  check<TypeParam>({5, 1, 512, 70}, {1}, {66});
  check<TypeParam>({2, 1, 131, 300}, {1}, {280});
}

TYPED_TEST(AttendCacheTest, WindowsAndSoftCaps) {
  for (const int64_t window : {1, 5, 64, 300, 5000})
    check<TypeParam>({4, 2, 16, 2000}, {0, 1, 2}, {1500, 3, 299}, window);
  check<TypeParam>({4, 2, 32, 600}, {0, 1}, {599, 10}, 0, 2.0f);
  check<TypeParam>({4, 2, 32, 600}, {0, 1}, {599, 10}, 100, 50.0f);
}

TYPED_TEST(AttendCacheTest, ManyTokensOfASlotAndPadding) {
  std::vector<int32_t> slots, places;
  for (int32_t i = 0; i < 64; ++i) {
    slots.push_back(i % 9 == 8 ? -1 : i % 3);
    places.push_back(i);
  }
  check<TypeParam>({2, 1, 24, 64}, slots, places);
}

TEST(AttendSplitTest, StaysInsideItsWorkspace) {
  for (int64_t count = 1; count < 600; ++count)
    for (const int64_t kv : {1, 2, 3, 8, 32})
      for (const int64_t capacity : {1, 64, 257, 4096, 131072}) {
        AttendCache a;
        a.count = count, a.heads = kv * 6, a.kv_heads = kv, a.capacity = capacity;
        const auto split = attend_launch(a).split;
        ASSERT_GE(split.count * split.length, capacity);
        if (split.count == 1) continue;
        ASSERT_LE(count * kv * split.chunks, AttendSplit::blocks);  // tickets
        ASSERT_LT(count * kv * split.chunks * split.count, 2 * AttendSplit::blocks);
      }
}

// ALiBi's bias, and a score that no value answers to: small, large, and larger than all others.
TYPED_TEST(AttendCacheTest, BiasesAndSinks) {
  for (const bool has_bias : {false, true}) {
    for (const double sink : {-40.0, 0.5, 30.0}) {
      for (const int32_t place : {0, 63, 900}) {
        World<TypeParam> world({6, 2, 16, 1000}, {1, 0}, {place, 3}, place == 63 ? 20 : 0, 0.0f);
        for (int64_t i = 0; has_bias && i < 6 * 1003; ++i)
          world.bias.push_back(
              static_cast<float>(0.01 * static_cast<double>(i % 1003) * static_cast<double>(i / 1003 + 1)));
        for (int64_t head = 0; head < 6; ++head)
          world.sinks.push_back(static_cast<float>(sink + 0.3 * static_cast<double>(head)));
        check(world);
      }
    }
  }
}

}  // namespace
}  // namespace cmc::kernels::tests
