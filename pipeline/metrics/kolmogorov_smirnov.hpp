#pragma once
#include <cstdint>
#include <span>

namespace cmc::metrics {

struct KsTest {
  double statistic = 0;  // largest distance between the two empirical distribution functions, [0, 1]
  double p_value = 1;    // two-sided
  bool exact = true;     // false: asymptotic, for a sample above 10,000 values or an exact value rounded above 1
};

// Two-sample Kolmogorov-Smirnov test, two-sided, as scipy.stats.ks_2samp(method="auto") computes it. Throws BadData
// when a sample is empty or holds a NaN.
KsTest ks_test(std::span<const double> first, std::span<const double> second);

// P(D_n >= d) of Kolmogorov's one-sample statistic for a sample of n (scipy.stats.kstwo.sf), after Simard and
// L'Ecuyer (2011); the asymptotic p-value takes it at n = n1 n2 / (n1 + n2). `n` >= 1.
double kolmogorov_survival(int64_t n, double d);

}  // namespace cmc::metrics
