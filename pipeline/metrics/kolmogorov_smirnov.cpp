#include "pipeline/metrics/kolmogorov_smirnov.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"

namespace cmc::metrics {
namespace {

constexpr size_t largest_exact = 10000;  // scipy's MAX_AUTO_N

std::vector<double> sorted(std::span<const double> values, const char* which) {
  if (values.empty())
    throw BadData({std::string("KS test: ") + which + " sample", "is empty", "give at least one value"});
  if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); }))
    throw BadData({std::string("KS test: ") + which + " sample", "holds a NaN", "leave missing values out"});
  std::vector<double> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

// Sample sizes over their greatest common divisor: the distance is a whole number h over `lcm`.
struct Sizes {
  Sizes(size_t first, size_t second) : n1(static_cast<int64_t>(first)), n2(static_cast<int64_t>(second)) {
    const int64_t g = std::gcd(n1, n2);
    n1_reduced = n1 / g;
    n2_reduced = n2 / g;
  }
  double lcm() const { return static_cast<double>(n1_reduced) * static_cast<double>(n2); }
  int64_t n1, n2, n1_reduced, n2_reduced;
};

// Largest |F1 - F2| times lcm. Equal values of both samples are passed together.
int64_t largest_distance(const std::vector<double>& a, const std::vector<double>& b, const Sizes& sizes) {
  int64_t largest = 0;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    const double value = std::min(a[i], b[j]);
    while (i < a.size() && a[i] == value) ++i;
    while (j < b.size() && b[j] == value) ++j;
    const int64_t difference = static_cast<int64_t>(i) * sizes.n2_reduced - static_cast<int64_t>(j) * sizes.n1_reduced;
    largest = std::max(largest, std::abs(difference));
  }
  return largest;
}

// P(D_{n,n} >= h/n) = 2 sum_k (-1)^(k+1) C(2n, n-kh) / C(2n, n), as a Horner scheme (Gnedenko and Korolyuk).
double survival_of_equal_sizes(int64_t n, int64_t h) {
  double probability = 0;
  for (int64_t k = n / h; k >= 0; --k) {
    double factor = 1;
    for (int64_t j = 0; j < h; ++j)
      factor = static_cast<double>(n - k * h - j) * factor / static_cast<double>(n + k * h + j + 1);
    probability = factor * (1 - probability);
  }
  return 2 * probability;
}

// Share of the lattice paths from (0, 0) to (m, n) that leave |n' i - m' j| < h, by a recursion on that share itself
// (Viehmann 2021, arXiv 2102.08037). `share[j]`: of the paths to (i, j); points outside have share 1.
double survival_of_unequal_sizes(Sizes sizes, int64_t h) {
  if (sizes.n1 < sizes.n2) std::swap(sizes.n1, sizes.n2), std::swap(sizes.n1_reduced, sizes.n2_reduced);
  const int64_t m = sizes.n1, n = sizes.n2, mr = sizes.n1_reduced, nr = sizes.n2_reduced;
  std::vector<double> share(static_cast<size_t>(n + 1), 1.0);
  for (int64_t i = 0; i <= m; ++i) {
    // First and last j with |nr i - mr j| < h.
    const int64_t first = nr * i < h ? 0 : (nr * i - h) / mr + 1;
    const int64_t last = std::min(n, (nr * i + h - 1) / mr);
    if (last < first) return 1;
    if (first > 0) share[static_cast<size_t>(first - 1)] = 1;
    for (int64_t j = first; j <= last; ++j) {
      const double left = j == 0 ? 0 : share[static_cast<size_t>(j - 1)] * static_cast<double>(j);
      double& here = share[static_cast<size_t>(j)];
      here = i + j == 0 ? 0 : ((i == 0 ? 0 : here * static_cast<double>(i)) + left) / static_cast<double>(i + j);
    }
  }
  return share[static_cast<size_t>(n)];
}

double asymptotic(const Sizes& sizes, double statistic) {
  const double n1 = static_cast<double>(sizes.n1), n2 = static_cast<double>(sizes.n2);
  return kolmogorov_survival(std::max<int64_t>(1, std::llrint(n1 * n2 / (n1 + n2))), statistic);
}

}  // namespace

KsTest ks_test(std::span<const double> first, std::span<const double> second) {
  const auto a = sorted(first, "first"), b = sorted(second, "second");
  const Sizes sizes(a.size(), b.size());
  const int64_t h = largest_distance(a, b, sizes);
  KsTest test{static_cast<double>(h) / sizes.lcm(), 1, std::max(a.size(), b.size()) <= largest_exact};
  if (h == 0 && test.exact) return test;
  if (test.exact)
    test.p_value = a.size() == b.size() ? survival_of_equal_sizes(sizes.n1, h) : survival_of_unequal_sizes(sizes, h);
  // scipy takes the asymptotic value where rounding has carried the exact one out of [0, 1].
  if (test.exact && !(test.p_value >= 0 && test.p_value <= 1)) test.exact = false;
  if (!test.exact) test.p_value = asymptotic(sizes, test.statistic);
  test.p_value = std::clamp(test.p_value, 0.0, 1.0);
  return test;
}

}  // namespace cmc::metrics
