// The CPU kernels against naive double-precision loops.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "pipeline/model/attention_kernel.hpp"
#include "pipeline/model/packed_gemm.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {
namespace {

using checkpoint::Activation;

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
    ASSERT_TRUE(PackedMatrix::supported()) << "these kernels need a processor with AVX2 and FMA";
  }
};

enum class Weights { bfloat16, float32 };

void check_product(Weights kind, int64_t outputs, int64_t inputs, int64_t rows) {
  auto w = normals(outputs * inputs, 1), x = normals(rows * inputs, 2);
  if (kind == Weights::bfloat16) {
    for (float& value : w) value = rounded_to_bfloat16(value);
  }
  const PackedMatrix packed(w.data(), outputs, inputs);
  std::vector<float> y(static_cast<size_t>(rows * outputs), std::nanf(""));
  const int64_t half = packed.panels() / 2;
  packed.multiply(x.data(), rows, y.data(), half, packed.panels());
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
  const PackedMatrix packed(w.data(), outputs, inputs);
  std::vector<float> together(static_cast<size_t>(rows * outputs)), alone(static_cast<size_t>(outputs));
  packed.multiply(x.data(), rows, together.data(), 0, packed.panels());
  for (int64_t r = 0; r < rows; ++r) {
    packed.multiply(x.data() + r * inputs, 1, alone.data(), 0, packed.panels());
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + r * outputs, alone.size() * sizeof(float)), 0);
  }
}

TEST_F(Kernels, Attention) {
  for (const int64_t dim : {8, 64, 256}) {
    for (const int64_t group : {1, 2, 3, 4, 5, 9}) {
      for (const int64_t length : {1, 3, 4, 9, 200}) {
        const int64_t first = 7, places = first + length + 5, stride = dim + 8;  // of a cache with other heads between
        const auto q = normals(group * dim, 5), k = normals(places * stride, 6), v = normals(places * stride, 7);
        std::vector<float> out(static_cast<size_t>(group * dim)), scratch;
        attend_row({q.data(), k.data(), v.data(), group, dim, stride, first, first + length, 0.3f}, scratch,
                   out.data());
        for (int64_t g = 0; g < group; ++g) {
          std::vector<double> p(static_cast<size_t>(length));
          double top = -1e300, total = 0;
          for (int64_t j = 0; j < length; ++j) {
            for (int64_t d = 0; d < dim; ++d) p[j] += 0.3 * q[g * dim + d] * k[(first + j) * stride + d];
            top = std::max(top, p[j]);
          }
          for (double& value : p) total += value = std::exp(value - top);
          for (int64_t d = 0; d < dim; ++d) {
            double mixed = 0;
            for (int64_t j = 0; j < length; ++j) mixed += p[j] / total * v[(first + j) * stride + d];
            ASSERT_NEAR(out[g * dim + d], mixed, 1e-5) << dim << " " << group << " " << length;
          }
        }
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
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu}) {
    gate_row(activation, gate.data(), up.data(), width, out.data());
    for (int64_t i = 0; i < width; ++i) {
      const double g = gate[i], cube = g + 0.044715 * g * g * g;
      const double active = activation == Activation::silu ? g / (1 + std::exp(-g))
                            : activation == Activation::gelu_tanh
                                ? 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * cube))
                                : 0.5 * g * (1 + std::erf(g / std::sqrt(2.0)));
      ASSERT_NEAR(out[i], active * up[i], 2e-6 * std::fabs(active * up[i]) + 2e-6) << "gate " << g;
    }
  }
}

// What is added first, and whether the result takes the place of its input.
TEST_F(Kernels, Norm) {
  for (const int64_t width : {1, 8, 13, 576}) {
    for (const bool adds : {false, true}) {
      auto x = normals(width, 10);
      const auto weight = normals(width, 11), added = normals(width, 12);
      std::vector<double> sum(x.begin(), x.end());
      for (int64_t i = 0; adds && i < width; ++i) sum[i] += added[i];
      std::vector<float> out(static_cast<size_t>(width));
      if (adds)
        add_norm_row(x.data(), added.data(), weight.data(), 1.0f, 1e-5f, width, out.data());
      else
        norm_row(x.data(), weight.data(), 1.0f, 1e-5f, width, out.data());
      double squares = 0;
      for (const double value : sum) squares += value * value;
      for (int64_t i = 0; i < width; ++i) {
        const double expected = sum[i] / std::sqrt(squares / static_cast<double>(width) + 1e-5) * (weight[i] + 1.0);
        ASSERT_NEAR(out[i], expected, 1e-6 * std::fabs(expected) + 1e-6);
        ASSERT_NEAR(x[i], sum[i], 1e-6);
      }
      norm_row(x.data(), weight.data(), 1.0f, 1e-5f, width, x.data());
      ASSERT_EQ(std::memcmp(x.data(), out.data(), out.size() * sizeof(float)), 0) << "in place";
    }
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
}  // namespace cmc::model
