#include "pipeline/model/rope.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pipeline/model/cpu_kernels.hpp"
#include "pipeline/model/row_kernels.hpp"

namespace cmc::model {

using checkpoint::Rope;
using checkpoint::RopeScaling;

namespace {

torch::Tensor exponents(int64_t head_dim) {
  return torch::arange(0, head_dim, 2, torch::kInt64).to(torch::kFloat32) / static_cast<double>(head_dim);
}

torch::Tensor plain_frequencies(double theta, int64_t head_dim) {
  return torch::pow(static_cast<float>(theta), exponents(head_dim)).reciprocal();
}

// Llama 3.1: long wavelengths divided by `factor`, short ones kept, a ramp between.
torch::Tensor llama3_frequencies(const Rope& rope, int64_t head_dim) {
  const RopeScaling& s = rope.scaling;
  const torch::Tensor plain = plain_frequencies(rope.theta, head_dim);
  const torch::Tensor wavelength = 2.0 * std::numbers::pi / plain;
  const double old_length = static_cast<double>(s.original_positions);
  const double low = old_length / s.low_frequency_factor, high = old_length / s.high_frequency_factor;
  const torch::Tensor scaled = torch::where(wavelength > low, plain / s.factor, plain);
  const torch::Tensor smooth =
      (old_length / wavelength - s.low_frequency_factor) / (s.high_frequency_factor - s.low_frequency_factor);
  const torch::Tensor medium = (wavelength >= high) & (wavelength <= low);
  return torch::where(medium, (1.0 - smooth) * scaled / s.factor + smooth * scaled, scaled);
}

// YaRN (Peng et al. 2023, section 3.2): interpolated at low, plain at high frequencies.
torch::Tensor yarn_frequencies(const Rope& rope, int64_t head_dim) {
  const RopeScaling& s = rope.scaling;
  const double dim = static_cast<double>(head_dim);
  const auto correction = [&](double rotations) {
    const double length = static_cast<double>(s.original_positions);
    return dim * std::log(length / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(rope.theta));
  };
  double low = correction(s.beta_fast), high = correction(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1.0);
  if (low == high) high += 0.001;
  const torch::Tensor ramp = ((torch::arange(head_dim / 2, torch::kFloat32) - low) / (high - low)).clamp(0.0, 1.0);
  const torch::Tensor plain = plain_frequencies(rope.theta, head_dim);
  const torch::Tensor interpolated =
      (torch::pow(static_cast<float>(rope.theta), exponents(head_dim)) * s.factor).reciprocal();
  return interpolated * ramp + plain * (1.0 - ramp);
}

double dynamic_theta(const Rope& rope, int64_t head_dim, int64_t length) {
  const double original = static_cast<double>(rope.scaling.original_positions);
  const double seen = std::max(static_cast<double>(length), original);
  const double dim = static_cast<double>(head_dim);
  const double stretch = rope.scaling.factor * seen / original - (rope.scaling.factor - 1.0);
  return rope.theta * std::pow(stretch, dim / (dim - 2.0));
}

}  // namespace

torch::Tensor inverse_frequencies(const Rope& rope, int64_t head_dim, int64_t length) {
  switch (rope.scaling.kind) {
    case RopeScaling::Kind::none:
      return plain_frequencies(rope.theta, head_dim);
    case RopeScaling::Kind::linear:
      return plain_frequencies(rope.theta, head_dim) / rope.scaling.factor;
    case RopeScaling::Kind::llama3:
      return llama3_frequencies(rope, head_dim);
    case RopeScaling::Kind::yarn:
      return yarn_frequencies(rope, head_dim);
    case RopeScaling::Kind::dynamic_ntk:
      break;
  }
  return plain_frequencies(dynamic_theta(rope, head_dim, length), head_dim);
}

Rotation rotation(const Rope& rope, int64_t head_dim, const torch::Tensor& positions,
                  const std::vector<std::pair<int64_t, int64_t>>& lengths) {
  const torch::NoGradGuard no_gradients;
  const torch::Tensor at = positions.to(torch::kFloat32).unsqueeze(1);
  torch::Tensor angles;
  if (rope.scaling.kind == RopeScaling::Kind::dynamic_ntk) {
    std::vector<torch::Tensor> parts;
    int64_t first = 0;
    for (const auto& [tokens, length] : lengths) {
      const torch::Tensor inverse = inverse_frequencies(rope, head_dim, length).to(positions.device());
      parts.push_back(at.narrow(0, first, tokens) * inverse);
      first += tokens;
    }
    angles = torch::cat(parts);
  } else {
    angles = at * inverse_frequencies(rope, head_dim, 0).to(positions.device());
  }
  const double factor = rope.scaling.attention_factor;
  if (factor == 1.0) return {angles.cos(), angles.sin()};
  return {angles.cos() * factor, angles.sin() * factor};
}

namespace {

torch::Tensor rotate_rows(const torch::Tensor& heads, const Rotation& rotation) {
  const torch::Tensor input = heads.stride(2) == 1 && heads.stride(1) == heads.size(2) ? heads : heads.contiguous();
  const int64_t count = input.size(1), dim = input.size(2), half = dim / 2, stride = input.stride(0);
  torch::Tensor result = torch::empty({input.size(0), count, dim}, input.options());
  const float *from = input.const_data_ptr<float>(), *cosine = rotation.cosine.const_data_ptr<float>(),
              *sine = rotation.sine.const_data_ptr<float>();
  float* to = result.data_ptr<float>();
  at::parallel_for(0, input.size(0), std::max<int64_t>(1, 32768 / (count * dim)), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      for (int64_t head = 0; head < count; ++head) {
        rotate_head(from + row * stride + head * dim, cosine + row * half, sine + row * half, half,
                    to + (row * count + head) * dim);
      }
    }
  });
  return result;
}

}  // namespace

torch::Tensor rotate(const torch::Tensor& heads, const Rotation& rotation) {
  if (takes_cpu_kernels(heads)) return rotate_rows(heads, rotation);
  const torch::Tensor cosine = rotation.cosine.to(heads.scalar_type()).unsqueeze(1);  // [N, 1, head_dim / 2]
  const torch::Tensor sine = rotation.sine.to(heads.scalar_type()).unsqueeze(1);
  const auto halves = heads.chunk(2, -1);
  return torch::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1);
}

}  // namespace cmc::model
