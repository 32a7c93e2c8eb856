#include "pipeline/model/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

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

// LongRoPE (Ding et al. 2024): a factor for each frequency, of two sets by the sequence's length.
torch::Tensor longrope_frequencies(const Rope& rope, int64_t head_dim, int64_t length) {
  const RopeScaling& s = rope.scaling;
  const auto& factors = length > s.original_positions ? s.long_factors : s.short_factors;
  const torch::Tensor stretched = torch::pow(static_cast<float>(rope.theta), exponents(head_dim));
  return (torch::tensor(factors, torch::kFloat64).to(torch::kFloat32) * stretched).reciprocal();
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
    case RopeScaling::Kind::longrope:
      return longrope_frequencies(rope, head_dim, length);
    case RopeScaling::Kind::dynamic_ntk:
      break;
  }
  return plain_frequencies(dynamic_theta(rope, head_dim, length), head_dim);
}

torch::Tensor turns(const Rope& rope, const torch::Tensor& positions, const torch::Tensor& inverse) {
  const torch::Tensor angles = positions.unsqueeze(1) * inverse;
  const torch::Tensor both = torch::stack({angles.cos(), angles.sin()});
  return rope.scaling.attention_factor == 1.0 ? both : both * rope.scaling.attention_factor;
}

}  // namespace cmc::model
