#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/kolmogorov_smirnov.hpp"

namespace cmc::metrics {
namespace {

using std::numbers::pi;

constexpr int exponent_step = 128;  // powers are scaled by 2^128 before they leave the range of a double

struct ScaledMatrix {
  explicit ScaledMatrix(size_t m) : size(m), values(m * m, 0.0) {}
  double& at(size_t row, size_t column) { return values[row * size + column]; }
  double at(size_t row, size_t column) const { return values[row * size + column]; }

  size_t size;
  std::vector<double> values;
  int exponent = 0;  // the matrix is values * 2^exponent
};

ScaledMatrix product(const ScaledMatrix& a, const ScaledMatrix& b) {
  ScaledMatrix c(a.size);
  for (size_t i = 0; i < a.size; ++i)
    for (size_t k = 0; k < a.size; ++k)
      for (size_t j = 0; j < a.size; ++j) c.at(i, j) += a.at(i, k) * b.at(k, j);
  c.exponent = a.exponent + b.exponent;
  if (std::abs(c.at(a.size / 2, a.size / 2)) > std::ldexp(1.0, exponent_step)) {
    for (double& v : c.values) v = std::ldexp(v, -exponent_step);
    c.exponent += exponent_step;
  }
  return c;
}

// Durbin's matrix for d = (k - h) / n (Marsaglia, Tsang and Wang 2003), [2k-1, 2k-1].
ScaledMatrix durbin_matrix(size_t k, double h) {
  const size_t m = 2 * k - 1;
  ScaledMatrix matrix(m);
  std::vector<double> inverse_factorial(m + 1, 1.0);
  for (size_t i = 1; i <= m; ++i) inverse_factorial[i] = inverse_factorial[i - 1] / static_cast<double>(i);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 1; j <= std::min(i + 1, m - 1); ++j) matrix.at(i, j) = inverse_factorial[i + 1 - j];
  for (size_t i = 0; i < m; ++i) {
    const double edge = (1 - std::pow(h, static_cast<double>(i + 1))) * inverse_factorial[i + 1];
    matrix.at(i, 0) = edge;
    matrix.at(m - 1, m - 1 - i) = edge;
  }
  const double power = static_cast<double>(m);
  matrix.at(m - 1, 0) = (1 - 2 * std::pow(h, power) + std::pow(std::max(2 * h - 1, 0.0), power)) * inverse_factorial[m];
  return matrix;
}

// P(D_n < d), exact; memory (n d)^2, time (n d)^3 log n.
double durbin_cdf(int64_t n, double d) {
  const double nd = static_cast<double>(n) * d;
  const auto k = static_cast<size_t>(std::ceil(nd));
  ScaledMatrix square = durbin_matrix(k, static_cast<double>(k) - nd);
  ScaledMatrix power(square.size);
  for (size_t i = 0; i < power.size; ++i) power.at(i, i) = 1;
  for (int64_t left = n; left > 0; left /= 2) {
    if (left % 2 == 1) power = product(power, square);
    if (left > 1) square = product(square, square);
  }
  double p = power.at(k - 1, k - 1);
  int exponent = power.exponent;
  for (int64_t i = 1; i <= n; ++i) {
    p *= static_cast<double>(i) / static_cast<double>(n);
    if (std::abs(p) < std::ldexp(1.0, -exponent_step)) p = std::ldexp(p, exponent_step), exponent -= exponent_step;
  }
  return std::ldexp(p, exponent);
}

// P(D+_n >= d) of the one-sided statistic (Smirnov; Birnbaum and Tingey 1951).
double one_sided_survival(int64_t n, double d) {
  const double size = static_cast<double>(n);
  const auto last = static_cast<int64_t>(std::floor(size * (1 - d)));
  double sum = 0;
  for (int64_t v = 0; v <= last; ++v) {
    const double share = static_cast<double>(v) / size, rest = 1 - d - share;
    if (rest <= 0) continue;
    const double log_choices =
        std::lgamma(size + 1) - std::lgamma(static_cast<double>(v) + 1) - std::lgamma(static_cast<double>(n - v) + 1);
    sum += std::exp(log_choices + static_cast<double>(v - 1) * std::log(d + share) +
                    static_cast<double>(n - v) * std::log(rest));
  }
  return std::min(1.0, d * sum);
}

// P(D_n < d) of Kolmogorov's limit with corrections up to n^-3/2 (Pelz and Good 1976), their terms as in Simard and
// L'Ecuyer (2011), equations 8 to 12.
double pelz_good_cdf(int64_t n, double d) {
  const double z = std::sqrt(static_cast<double>(n)) * d, z2 = z * z, z4 = z2 * z2, z6 = z4 * z2;
  const double pi2 = pi * pi, pi4 = pi2 * pi2, pi6 = pi4 * pi2;
  std::array<double, 4> k_sums{};
  const int terms = static_cast<int>(std::ceil(16 * z / pi)) + 1;
  for (int i = 0; i < terms; ++i) {
    const double odd = i + 0.5, o2 = odd * odd, o4 = o2 * o2, o6 = o4 * o2;
    const double weight = std::exp(-pi2 * o2 / (2 * z2));
    k_sums[0] += weight;
    k_sums[1] += (pi2 * o2 - z2) * weight;
    k_sums[2] += (6 * z6 + 2 * z4 + pi2 * (2 * z4 - 5 * z2) * o2 + pi4 * (1 - 2 * z2) * o4) * weight;
    k_sums[3] += (-30 * z6 - 90 * z6 * z2 + pi2 * (135 * z4 - 96 * z6) * o2 + pi4 * (212 * z4 - 60 * z2) * o4 +
                  pi6 * (5 - 30 * z2) * o6) *
                 weight;
  }
  double k2_extra = 0, k3_extra = 0;
  for (int i = 1; i <= terms; ++i) {
    const double i2 = static_cast<double>(i) * i, weight = i2 * std::exp(-pi2 * i2 / (2 * z2));
    k2_extra += pi2 * weight;
    k3_extra += (3 * pi2 * z2 - pi4 * i2) * weight;
  }
  const double root = std::sqrt(2 * pi), sqrt_n = std::sqrt(static_cast<double>(n));
  const double k0 = root / z * k_sums[0];
  const double k1 = root / (6 * z4) * k_sums[1];
  const double k2 = root / (72 * z6 * z) * k_sums[2] - root / (36 * z2 * z) * k2_extra;
  const double k3 = root / (6480 * z6 * z4) * k_sums[3] + root / (216 * z6) * k3_extra;
  return k0 + (k1 + (k2 + k3 / sqrt_n) / sqrt_n) / sqrt_n;
}

}  // namespace

double kolmogorov_survival(int64_t n, double d) {
  expect(n >= 1, "kolmogorov_survival needs n >= 1");
  const double size = static_cast<double>(n), nd2 = size * d * d;
  if (size * d <= 0.5) return 1;
  if (d >= 1) return 0;
  // Above these the two one-sided events exclude each other, or nearly (below 1e-13 of the sum).
  if (d >= 0.5 || nd2 >= (n <= 140 ? 4.0 : 2.2)) return nd2 >= 370 ? 0 : std::min(1.0, 2 * one_sided_survival(n, d));
  if (n <= 140 || (n <= 100000 && size * std::pow(d, 1.5) <= 1.4)) return std::clamp(1 - durbin_cdf(n, d), 0.0, 1.0);
  if (nd2 < 0.0017) return 1;  // the first term of Pelz and Good's sums is below 1e-300
  return std::clamp(1 - pelz_good_cdf(n, d), 0.0, 1.0);
}

}  // namespace cmc::metrics
