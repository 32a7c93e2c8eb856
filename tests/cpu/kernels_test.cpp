// The CPU kernels against naive double-precision loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "pipeline/cpu/attention_kernel.hpp"
#include "pipeline/cpu/packed_gemm.hpp"
#include "pipeline/cpu/row_kernels.hpp"

namespace cmc::cpu {
namespace {

using kernels::Activation;

std::vector<float> normals(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

float rounded_to_bfloat16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits &= 0xFFFF0000u;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

class Kernels : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(instruction_set(), InstructionSet::none) << "these kernels need a processor with AVX2 and FMA";
  }
};

enum class Weights { bfloat16, float32 };

PackedMatrix packed_of(const std::vector<float>& weights, int64_t outputs, int64_t inputs,
                       InstructionSet set = instruction_set()) {
  PackedMatrix packed(weights.data(), outputs, inputs, set);
  packed.pack(weights.data(), packed.strips() / 2, packed.strips());
  packed.pack(weights.data(), 0, packed.strips() / 2);
  return packed;
}

void check_product(Weights kind, int64_t outputs, int64_t inputs, int64_t rows) {
  auto w = normals(outputs * inputs, 1), x = normals(rows * inputs, 2);
  if (kind == Weights::bfloat16) {
    for (float& value : w) value = rounded_to_bfloat16(value);
  }
  const PackedMatrix packed = packed_of(w, outputs, inputs);
  std::vector<float> y(static_cast<size_t>(rows * outputs), std::nanf(""));
  const int64_t half = packed.strips() / 2;
  packed.multiply(x.data(), rows, y.data(), half, packed.strips());
  packed.multiply(x.data(), rows, y.data(), 0, half);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < outputs; ++o) {
      double sum = 0, size = 0;
      for (int64_t i = 0; i < inputs; ++i) {
        const double product = static_cast<double>(x[r * inputs + i]) * w[o * inputs + i];
        sum += product;
        size += std::fabs(product);
      }
      ASSERT_NEAR(y[r * outputs + o], sum, 1e-6 * size + 1e-12) << outputs << "x" << inputs << " rows " << rows;
    }
  }
}

TEST_F(Kernels, ProductOfEveryShape) {
  for (const Weights kind : {Weights::bfloat16, Weights::float32}) {
    for (const int64_t outputs : {1, 15, 16, 17, 64, 100}) {
      for (const int64_t inputs : {1, 7, 96}) {
        for (int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13, 16, 29, 30, 31, 67}) check_product(kind, outputs, inputs, rows);
      }
    }
  }
}

TEST_F(Kernels, RowOfAProductDoesNotDependOnTheBatch) {
  const int64_t outputs = 80, inputs = 300, rows = 37;
  const auto w = normals(outputs * inputs, 3), x = normals(rows * inputs, 4);
  const PackedMatrix packed = packed_of(w, outputs, inputs);
  std::vector<float> together(static_cast<size_t>(rows * outputs)), alone(static_cast<size_t>(outputs));
  packed.multiply(x.data(), rows, together.data(), 0, packed.strips());
  for (int64_t r = 0; r < rows; ++r) {
    packed.multiply(x.data() + r * inputs, 1, alone.data(), 0, packed.strips());
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + r * outputs, alone.size() * sizeof(float)), 0);
  }
}

TEST_F(Kernels, OneStripAndLengths) {
  for (const Weights kind : {Weights::bfloat16, Weights::float32}) {
    for (const auto& [outputs, inputs] :
         std::vector<std::pair<int64_t, int64_t>>{{80, 300}, {37, 64}, {5, 7}, {40, 4099}}) {
      auto w = normals(outputs * inputs, 7), x = normals(inputs, 8);
      if (kind == Weights::bfloat16) {
        for (float& value : w) value = rounded_to_bfloat16(value);
      }
      const PackedMatrix packed = packed_of(w, outputs, inputs);
      std::vector<float> whole(static_cast<size_t>(outputs)), lengths(static_cast<size_t>(outputs));
      packed.multiply(x.data(), 1, whole.data(), 0, packed.strips());
      packed.lengths(0, packed.strips(), lengths.data());
      for (int64_t strip = 0; strip < packed.strips(); ++strip) {
        std::vector<float> part(PackedMatrix::strip_width, std::nanf(""));
        packed.multiply_strip(x.data(), strip, part.data());
        for (int64_t i = 0; i < PackedMatrix::strip_width; ++i) {
          const int64_t output = strip * PackedMatrix::strip_width + i;
          ASSERT_EQ(part[i], output < outputs ? whole[output] : 0.0f);
        }
      }
      for (int64_t o = 0; o < outputs; ++o) {
        double squares = 0.0;
        for (int64_t i = 0; i < inputs; ++i) squares += static_cast<double>(w[o * inputs + i]) * w[o * inputs + i];
        ASSERT_NEAR(lengths[o], std::sqrt(squares), 1e-6 * std::sqrt(squares));
      }
    }
  }
}

TEST_F(Kernels, InstructionSetsGiveTheSameBits) {
  if (instruction_set() != InstructionSet::avx512) GTEST_SKIP() << "this processor has no AVX-512";
  const int64_t inputs = 2500;  // more than a block of them
  for (const Weights kind : {Weights::bfloat16, Weights::float32}) {
    for (const int64_t outputs : {16, 50, 200}) {
      auto w = normals(outputs * inputs, 3);
      if (kind == Weights::bfloat16) std::ranges::transform(w, w.begin(), rounded_to_bfloat16);
      const PackedMatrix narrow = packed_of(w, outputs, inputs, InstructionSet::avx2),
                         wide = packed_of(w, outputs, inputs);
      for (const int64_t rows : {1, 2, 3, 5, 8, 9, 24, 100}) {
        const auto x = normals(rows * inputs, 4);
        std::vector<float> a(static_cast<size_t>(rows * outputs)), b(a.size());
        narrow.multiply(x.data(), rows, a.data(), 0, narrow.strips());
        wide.multiply(x.data(), rows, b.data(), 0, wide.strips());
        ASSERT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << outputs << " rows " << rows;
      }
    }
  }
}

// What is done to the scores before their softmax.
struct Bent {
  float softcap = 0.0f;
  bool bias = false, sinks = false;
};

void check_attention(int64_t dim, int64_t group, int64_t length, const Bent& bent) {
  const int64_t first = 7, places = first + length + 5, stride = dim + 8;  // of a cache with other heads between
  const auto q = normals(group * dim, 5), k = normals(places * stride, 6), v = normals(places * stride, 7),
             bias = normals(group * (places + 2), 15), sinks = normals(group, 16);
  std::vector<float> out(static_cast<size_t>(group * dim)), scratch;
  attend_row({.query = q.data(),
              .keys = k.data(),
              .values = v.data(),
              .group = group,
              .head_dim = dim,
              .stride = stride,
              .first = first,
              .last = first + length,
              .scale = 0.3f,
              .softcap = bent.softcap,
              .bias = bent.bias ? bias.data() : nullptr,
              .bias_stride = places + 2,
              .sinks = bent.sinks ? sinks.data() : nullptr},
             scratch, out.data());
  for (int64_t g = 0; g < group; ++g) {
    std::vector<double> p(static_cast<size_t>(length));
    double top = -1e300;
    for (int64_t j = 0; j < length; ++j) {
      for (int64_t d = 0; d < dim; ++d) p[j] += 0.3 * q[g * dim + d] * k[(first + j) * stride + d];
      if (bent.softcap > 0) p[j] = bent.softcap * std::tanh(p[j] / bent.softcap);
      if (bent.bias) p[j] += bias[g * (places + 2) + first + j];
      top = std::max(top, p[j]);
    }
    double total = bent.sinks ? std::exp(sinks[g] - top) : 0.0;
    for (double& value : p) total += value = std::exp(value - top);
    for (int64_t d = 0; d < dim; ++d) {
      double mixed = 0;
      for (int64_t j = 0; j < length; ++j) mixed += p[j] / total * v[(first + j) * stride + d];
      ASSERT_NEAR(out[g * dim + d], mixed, 1e-5) << dim << " " << group << " " << length;
    }
  }
}

TEST_F(Kernels, Attention) {
  for (const Bent& bent :
       {Bent{}, Bent{2.0f, false, false}, Bent{0.0f, true, false}, Bent{0.0f, false, true}, Bent{1.5f, true, true}}) {
    for (const int64_t dim : {8, 64, 256}) {
      for (const int64_t group : {1, 2, 3, 4, 5, 9}) {
        for (const int64_t length : {1, 3, 4, 9, 200}) check_attention(dim, group, length, bent);
      }
    }
  }
}

TEST_F(Kernels, GateEveryActivation) {
  const int64_t width = 1003;
  auto gate = normals(width, 8);
  const auto up = normals(width, 9);
  for (float& value : gate) value *= 10;
  gate[0] = 200, gate[1] = -200, gate[2] = 0, gate[1000] = -300, gate[1001] = 300;
  std::vector<float> out(static_cast<size_t>(width));
  const auto active = [](Activation activation, double g) {
    const double cube = g + 0.044715 * g * g * g;
    if (activation == Activation::silu) return g / (1 + std::exp(-g));
    if (activation == Activation::gelu_tanh) return 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * cube));
    if (activation == Activation::gelu_quick) return g / (1 + std::exp(-1.702 * g));
    if (activation == Activation::relu) return std::max(g, 0.0);
    if (activation == Activation::relu_squared) return std::max(g, 0.0) * std::max(g, 0.0);
    return 0.5 * g * (1 + std::erf(g / std::sqrt(2.0)));
  };
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu, Activation::gelu_quick,
                                      Activation::relu, Activation::relu_squared}) {
    for (const bool gated : {true, false}) {
      gate_row(activation, gate.data(), gated ? up.data() : nullptr, width, out.data());
      for (int64_t i = 0; i < width; ++i) {
        const double expected = active(activation, gate[i]) * (gated ? up[i] : 1.0);
        ASSERT_NEAR(out[i], expected, 2e-6 * std::fabs(expected) + 2e-6) << "gate " << gate[i];
      }
    }
  }
}

// Whether the result takes the place of its input, with and without each part.
TEST_F(Kernels, Norm) {
  for (const int64_t width : {2, 8, 13, 576}) {
    for (int parts = 0; parts < 8; ++parts) {
      const bool centred = parts % 2 == 1, has_weight = parts / 2 % 2 == 1, has_bias = parts / 4 == 1;
      auto x = normals(width, 10);
      const auto weight = normals(width, 11), bias = normals(width, 12);
      const RowNorm norm{has_weight ? weight.data() : nullptr, has_bias ? bias.data() : nullptr, 1.0f, 1e-5f, centred};
      std::vector<float> out(static_cast<size_t>(width));
      norm_row(x.data(), norm, width, out.data());
      double mean = 0, squares = 0;
      for (const float value : x) mean += centred ? value / static_cast<double>(width) : 0.0;
      for (const float value : x) squares += (value - mean) * (value - mean);
      for (int64_t i = 0; i < width; ++i) {
        const double expected = (x[i] - mean) / std::sqrt(squares / static_cast<double>(width) + 1e-5) *
                                    (has_weight ? weight[i] + 1.0 : 1.0) +
                                (has_bias ? bias[i] : 0.0);
        ASSERT_NEAR(out[i], expected, 2e-6 * std::fabs(expected) + 2e-6);
      }
      norm_row(x.data(), norm, width, x.data());
      ASSERT_EQ(std::memcmp(x.data(), out.data(), out.size() * sizeof(float)), 0) << "in place";
    }
  }
}

TEST_F(Kernels, AddRow) {
  for (const int64_t width : {1, 8, 13, 576}) {
    auto x = normals(width, 10);
    const auto before = x, added = normals(width, 12);
    add_row(x.data(), added.data(), 0.4f, width);
    for (int64_t i = 0; i < width; ++i) ASSERT_NEAR(x[i], before[i] + 0.4 * added[i], 1e-6);
  }
}

TEST_F(Kernels, Rotation) {
  for (const int64_t half : {1, 5, 8, 12, 64}) {
    const auto x = normals(2 * half, 13), angles = normals(half, 14);
    std::vector<float> cosine, sine, head = x;
    for (const float angle : angles) {
      cosine.push_back(std::cos(angle));
      sine.push_back(std::sin(angle));
    }
    rotate_head(head.data(), cosine.data(), sine.data(), half);
    for (int64_t i = 0; i < half; ++i) {
      const double a = x[i], b = x[half + i], c = cosine[i], s = sine[i];
      ASSERT_NEAR(head[i], a * c - b * s, 1e-6);
      ASSERT_NEAR(head[half + i], b * c + a * s, 1e-6);
    }
  }
}

}  // namespace
}  // namespace cmc::cpu
