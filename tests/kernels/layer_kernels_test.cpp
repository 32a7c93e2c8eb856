// The kernels of a decoder layer against loops in double, threads and blocks in drawn orders, float32 and bfloat16.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "pipeline/kernels/add_norm_body.hpp"
#include "pipeline/kernels/embed_body.hpp"
#include "pipeline/kernels/gate_body.hpp"
#include "pipeline/kernels/rope_cache_body.hpp"
#include "tests/kernels/host_order.hpp"

namespace cmc::kernels::tests {
namespace {

template <class T>
struct LayerKernels : testing::Test {};
using Types = testing::Types<float, Bfloat16>;
TYPED_TEST_SUITE(LayerKernels, Types);

TEST(Numbers, Bfloat16RoundsToTheNearestAndTiesToEven) {
  for (uint32_t high = 0; high < 0x7F80; high += 7) {
    const double low = float_of(high << 16), next = float_of((high + 1) << 16), middle = float_of(high << 16 | 0x8000);
    if (!std::isfinite(next)) continue;
    const double expected = high % 2 == 0 ? low : next;
    EXPECT_EQ(rounded<Bfloat16>(static_cast<float>(middle)), expected);
    EXPECT_EQ(rounded<Bfloat16>(float_of(high << 16 | 0x7FFF)), low);
    EXPECT_EQ(rounded<Bfloat16>(float_of(high << 16 | 0x8001)), next);
    EXPECT_EQ(rounded<Bfloat16>(static_cast<float>(-middle)), -expected);
  }
  EXPECT_TRUE(std::isnan(rounded<Bfloat16>(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(rounded<Bfloat16>(INFINITY), INFINITY);
}

TYPED_TEST(LayerKernels, EmbedReadsTheTokenOrTheLastChoiceOfItsSlot) {
  using T = TypeParam;
  for (const int64_t width : {1, 8, 63, 64, 200, 1032}) {
    for (const float scale : {1.0f, 11.3137f}) {
      const int64_t rows = 11, first = 5;
      const auto table = normal<T>(rows * width, 1);
      const std::vector<int32_t> tokens = {5, 15, 4, 16, -1, -1, -1, 9}, slots = {0, 1, 2, 3, 2, 0, -1, 1};
      const std::vector<int32_t> chosen = {12, 99, 7};
      auto out = poisoned<T>(8 * width);
      const Embed arguments{type_of<T>,    table.data(),  rows,         width, first,     scale,
                            tokens.data(), chosen.data(), slots.data(), 8,     out.data()};
      run_on_host<EmbedBody<T>>(arguments, Drawn(2));
      const std::vector<int64_t> read = {5, 15, 4, 16, 7, 12, 0, 9};
      for (int64_t i = 0; i < 8 * width; ++i) {
        const int64_t row = read[static_cast<size_t>(i / width)] - first;
        const double expected = row < 0 || row >= rows ? 0.0 : number(table, row * width + i % width) * to<T>(scale);
        ASSERT_EQ(number(out, i), to<T>(expected)) << width << " " << i;
      }
    }
  }
}

// The norms of the families, with and without each part.
enum class Kind { llama, gemma, rounded_last, layer, layer_plain, layer_adds_one };
constexpr Kind all_kinds[] = {Kind::llama, Kind::gemma,       Kind::rounded_last,
                              Kind::layer, Kind::layer_plain, Kind::layer_adds_one};

template <class T>
NormOf norm_of(Kind kind, const std::vector<T>& weight, const std::vector<T>& bias) {
  const bool centred = kind == Kind::layer || kind == Kind::layer_plain || kind == Kind::layer_adds_one;
  return {.is_there = true,
          .weight = kind == Kind::layer_plain ? nullptr : weight.data(),
          .bias = centred && kind != Kind::layer_plain ? bias.data() : nullptr,
          .epsilon = 1e-5f,
          .centred = centred,
          .adds_one = kind == Kind::gemma || kind == Kind::layer_adds_one,
          .rounds_last = kind != Kind::llama};
}

// The norm of one row as its definition says it, rounded where the model rounds.
template <class T>
void expect_norm(const std::vector<T>& out, const std::vector<double>& row, Kind kind, const std::vector<T>& weight,
                 const std::vector<T>& bias, int64_t first) {
  const NormOf norm = norm_of(kind, weight, bias);
  const auto width = static_cast<double>(row.size());
  double mean = 0.0, squares = 0.0, largest = 0.0;
  for (const double x : row) mean += norm.centred ? x / width : 0.0;
  for (const double x : row) squares += (x - mean) * (x - mean), largest = std::max(largest, std::abs(x));
  const double scale = 1.0 / std::sqrt(squares / width + static_cast<double>(norm.epsilon));
  for (size_t i = 0; i < row.size(); ++i) {
    const double w = norm.weight == nullptr ? 1.0 : wide(weight[i]) + (norm.adds_one ? 1.0 : 0.0),
                 normed = (row[i] - mean) * scale, actual = number(out, first + static_cast<int64_t>(i));
    if (kind == Kind::llama) {  // the normed number is rounded before the weight
      ASSERT_TRUE(between<T>(actual, to<T>(normed * (1 - 2e-6)) * w, to<T>(normed * (1 + 2e-6)) * w, 1e-6)) << i;
      continue;
    }
    const double expected = normed * w + (norm.bias == nullptr ? 0.0 : wide(bias[i]));
    const double slack = 2e-6 * (std::abs(normed * w) + std::abs(expected)) +
                         (norm.centred ? 1e-6 * largest * scale * std::abs(w) : 0.0);
    ASSERT_TRUE(between<T>(actual, expected - slack, expected + slack, 0.0)) << i << " " << static_cast<int>(kind);
  }
}

struct NormCase {
  bool branch, branch_norm, norm;
  float scale = 1.0f;  // of the branch
};

template <class T>
void check_add_norm(int64_t rows, int64_t width, NormCase parts, Kind kind, int64_t shift) {
  auto residual = normal<T>(rows * width + shift, 3, 2.0);
  const auto branch = normal<T>(rows * width, 4), weight = normal<T>(width, 5), own = normal<T>(width, 6),
             bias = normal<T>(width, 7);
  const auto before = residual;
  auto out = poisoned<T>(rows * width);
  AddNorm a;
  a.type = type_of<T>;
  a.residual = residual.data() + shift;
  a.branch = parts.branch ? branch.data() : nullptr;
  a.branch_scale = parts.scale;
  if (parts.branch_norm) a.branch_norm = norm_of(kind, own, bias);
  if (parts.norm) a.norm = norm_of(kind, weight, bias);
  a.out = parts.norm ? out.data() : nullptr;
  a.rows = rows, a.width = width;
  run_on_host<AddNormBody<T>>(a, Drawn(static_cast<uint64_t>(width)));
  for (int64_t r = 0; r < rows; ++r) {
    auto normed = poisoned<T>(width);
    if (parts.branch_norm) {  // the same kernel's plain norm, itself compared below
      std::vector<T> row(branch.begin() + r * width, branch.begin() + (r + 1) * width);
      AddNorm plain = a;
      plain.residual = row.data(), plain.branch = nullptr, plain.branch_norm = {};
      plain.norm = a.branch_norm, plain.out = normed.data(), plain.rows = 1;
      run_on_host<AddNormBody<T>>(plain);
    }
    std::vector<double> sum;
    for (int64_t i = 0; i < width; ++i) {
      const double x = number(before, shift + r * width + i);
      double y = parts.branch_norm ? number(normed, i) : number(branch, r * width + i);
      if (parts.scale != 1.0f) y = to<T>(y * static_cast<double>(parts.scale));
      // The branch's squares are summed in another order where its row is not packed.
      const double slack = parts.branch_norm ? 2e-6 * (std::abs(x) + std::abs(y) + 1.0) : 1e-7 * std::abs(y),
                   exact = parts.branch ? x + y : x;
      sum.push_back(number(residual, shift + r * width + i));
      ASSERT_TRUE(between<T>(sum.back(), exact - slack, exact + slack, 0.0)) << r << " " << i;
    }
    if (parts.norm) expect_norm(out, sum, kind, weight, bias, r * width);
  }
}

TYPED_TEST(LayerKernels, AddNormAddsThenNorms) {
  const std::vector<NormCase> cases = {{false, false, true},    {true, false, true}, {true, true, true},
                                       {true, false, false},    {true, true, false}, {true, false, true, 0.4f},
                                       {true, true, true, 0.4f}};
  for (const int64_t width : {1, 7, 64, 192, 255, 576, 2048, 2056, 4099}) {
    for (const auto& parts : cases) {
      for (const Kind kind : all_kinds) {
        // Two numbers a row at least, or LayerNorm divides nothing by nothing.
        const bool centred = norm_of<TypeParam>(kind, {}, {}).centred;
        if (width > 1 || !centred) check_add_norm<TypeParam>(width > 500 ? 2 : 5, width, parts, kind, width % 3);
      }
    }
  }
  check_add_norm<TypeParam>(64, 192, {true, false, true}, Kind::llama, 0);
}

template <class T>
struct RopeWorld {
  int64_t count, heads, kv, dim, slots = 3, capacity = 9;
  bool query_norm, key_norm, own;  // own: each head has weights of its own
  Kind kind;
  std::vector<T> joined, query, keys, values, norm_q, norm_k, bias;
  std::vector<float> cosine, sine;
  std::vector<int32_t> slot, place;

  RopeWorld(int64_t n, int64_t h, int64_t k, int64_t d, int norms, Kind norm_kind)
      : count(n),
        heads(h),
        kv(k),
        dim(d),
        query_norm(norms % 2 == 1),
        key_norm(norms / 2 % 2 == 1),
        own(norms / 4 == 1),
        kind(norm_kind) {
    joined = normal<T>(count * (heads + 2 * kv) * dim, 7);
    query = poisoned<T>(count * heads * dim);
    keys = poisoned<T>(slots * capacity * kv * dim);
    values = keys;
    norm_q = normal<T>(heads * dim, 8), norm_k = normal<T>(kv * dim, 9), bias = normal<T>(heads * dim, 10);
    for (int64_t i = 0; i < count * dim / 2; ++i) {
      cosine.push_back(static_cast<float>(std::cos(0.7 * static_cast<double>(i))));
      sine.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i))));
    }
    for (int32_t i = 0; i < count; ++i) {  // the last token is padding
      slot.push_back(i + 1 == count && count > 1 ? -1 : i % 3);
      place.push_back(i / 3);
    }
  }
  void run() {
    RopeCache a;
    a.type = type_of<T>;
    a.joined = joined.data();
    a.count = count, a.heads = heads, a.kv_heads = kv, a.dim = dim, a.capacity = capacity;
    a.cosine = cosine.data(), a.sine = sine.data();
    if (query_norm) a.query_norm = norm_of(kind, norm_q, bias);
    if (key_norm) a.key_norm = norm_of(kind, norm_k, bias);
    a.norm_stride = own ? dim : 0;
    a.slots = slot.data(), a.places = place.data();
    a.query = query.data(), a.keys = keys.data(), a.values = values.data();
    run_on_host<RopeCacheBody<T>>(a, Drawn(10));
  }
  // A head as it goes into the rotation: normed by the add_norm kernel where asked.
  std::vector<T> head(int64_t token, int64_t part, const std::vector<T>* norm) const {
    const auto from = joined.begin() + (token * (heads + 2 * kv) + part) * dim;
    std::vector<T> x(from, from + dim);
    if (norm == nullptr) return x;
    auto out = poisoned<T>(dim);
    const int64_t offset = own ? (part < heads ? part : part - heads) * dim : 0;
    AddNorm a;
    a.type = type_of<T>, a.residual = x.data(), a.out = out.data();
    a.norm = norm_of(kind, *norm, bias);
    if (a.norm.weight != nullptr) a.norm.weight = static_cast<const T*>(a.norm.weight) + offset;
    if (a.norm.bias != nullptr) a.norm.bias = static_cast<const T*>(a.norm.bias) + offset;
    a.rows = 1, a.width = dim;
    run_on_host<AddNormBody<T>>(a);
    return out;
  }
  void expect_turned(const std::vector<T>& out, int64_t at, const std::vector<T>& x, int64_t token) const {
    const int64_t half = dim / 2;
    for (int64_t i = 0; i < half; ++i) {
      const double c = to<T>(cosine[static_cast<size_t>(token * half + i)]),
                   s = to<T>(sine[static_cast<size_t>(token * half + i)]);
      const double a = number(x, i), b = number(x, half + i);
      // The norm's sum is taken in another order there: half a unit in the last place of float32, or none.
      const double slack = sizeof(T) == 4 ? 2e-6 * (std::abs(a) + std::abs(b) + 1.0) : 0.0;
      const double first = to<T>(to<T>(a * c) - to<T>(b * s)), second = to<T>(to<T>(b * c) + to<T>(a * s));
      ASSERT_NEAR(number(out, at + i), first, slack);
      ASSERT_NEAR(number(out, at + half + i), second, slack);
    }
  }
};

TYPED_TEST(LayerKernels, RopeCacheTurnsQueryAndKeyAndWritesTheCache) {
  using T = TypeParam;
  for (const int64_t dim : {2, 10, 64, 128, 130, 256}) {
    for (int norms = 0; norms < 8 * 6; ++norms) {
      const Kind kind = all_kinds[norms / 8];
      if (dim == 2 && norms >= 24) continue;  // a LayerNorm of two numbers is their order alone
      RopeWorld<T> world(dim > 100 ? 4 : 7, 6, dim > 100 ? 3 : 2, dim, norms % 8, kind);
      world.run();
      std::set<int64_t> written;
      for (int64_t n = 0; n < world.count; ++n) {
        for (int64_t h = 0; h < world.heads; ++h)
          world.expect_turned(world.query, (n * world.heads + h) * dim,
                              world.head(n, h, world.query_norm ? &world.norm_q : nullptr), n);
        if (world.slot[static_cast<size_t>(n)] < 0) continue;
        for (int64_t h = 0; h < world.kv; ++h) {
          const int64_t row = world.slot[static_cast<size_t>(n)] * world.capacity + world.place[static_cast<size_t>(n)];
          const int64_t at = (row * world.kv + h) * dim;
          written.insert(row);
          world.expect_turned(world.keys, at, world.head(n, world.heads + h, world.key_norm ? &world.norm_k : nullptr),
                              n);
          const auto value = world.head(n, world.heads + world.kv + h, nullptr);
          for (int64_t i = 0; i < dim; ++i) ASSERT_EQ(number(world.values, at + i), number(value, i));
        }
      }
      for (int64_t row = 0; row < world.slots * world.capacity; ++row)  // nothing else of the cache is touched
        for (int64_t i = 0; i < world.kv * dim && written.count(row) == 0; ++i) {
          ASSERT_TRUE(std::isnan(number(world.keys, row * world.kv * dim + i)));
          ASSERT_TRUE(std::isnan(number(world.values, row * world.kv * dim + i)));
        }
    }
  }
}

double activated_in_double(Activation activation, double x) {
  if (activation == Activation::silu) return x / (1.0 + std::exp(-x));
  if (activation == Activation::gelu_quick) return x / (1.0 + std::exp(-1.702 * x));
  if (activation == Activation::relu) return std::max(x, 0.0);
  if (activation == Activation::relu_squared) return std::max(x, 0.0) * std::max(x, 0.0);
  if (activation == Activation::gelu) return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

TYPED_TEST(LayerKernels, GateMultipliesTheActivation) {
  using T = TypeParam;
  for (const auto activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu, Activation::gelu_quick,
                                Activation::relu, Activation::relu_squared}) {
    for (const bool gated : {true, false}) {
      for (const auto& [rows, width] :
           std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 77}, {64, 40}, {2, 2048}, {2, 2056}, {1, 5001}}) {
        const int64_t parts = gated ? 2 : 1;
        const auto joined = normal<T>(rows * parts * width, 11, 2.0);
        auto out = poisoned<T>(rows * width);
        run_on_host<GateBody<T>>({type_of<T>, activation, gated, joined.data(), rows, width, out.data()}, Drawn(12));
        for (int64_t i = 0; i < rows * width; ++i) {
          const int64_t at = i / width * parts * width + i % width;
          const double active = activated_in_double(activation, number(joined, at)),
                       up = gated ? number(joined, at + width) : 1.0;
          // float32 loses digits of GELU far on the left, where 1 + erf cancels.
          const double error = 1e-6 * std::abs(active) + 3e-7;
          ASSERT_TRUE(between<T>(number(out, i), to<T>(active - error) * up, to<T>(active + error) * up, 1e-6))
              << i << " " << number(joined, at);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cmc::kernels::tests
