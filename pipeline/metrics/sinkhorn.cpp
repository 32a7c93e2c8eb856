#include "pipeline/metrics/sinkhorn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/checked_sample.hpp"

// glibc computes exp of several numbers at once where it is declared so; within 4 units of the last place of the other.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
extern "C" __attribute__((simd("notinbranch"), const)) double exp(double) noexcept;
#define CMC_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CMC_WIDE
#endif

namespace cmc::metrics {
namespace {

using Potential = std::vector<double>;

// C[i, j] = |x_i - y_j|^2 / 2, [rows, columns] row-major.
struct CostMatrix {
  CostMatrix(const PointCloud& x, const PointCloud& y) : rows(x.count()), columns(y.count()), costs(rows * columns) {
    const size_t d = x.dimension;
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < columns; ++j) {
        double squared = 0;
        for (size_t k = 0; k < d; ++k) {
          const double difference = x.coordinates[i * d + k] - y.coordinates[j * d + k];
          squared += difference * difference;
        }
        costs[i * columns + j] = squared / 2;
      }
  }
  size_t rows, columns;
  std::vector<double> costs;
};

constexpr double negligible = -60;  // exp of it is 9e-27: millions of these do not change a sum that is at least 1

// f_i = -eps log (1/n) sum_j exp((g_j - C[i, j]) / eps), by rows or by columns of C; `scores`: g_j - C[i, j].
CMC_WIDE double softmin_row(double eps, const double* scores, int64_t n) {
  double largest = scores[0], sum = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < n; ++j) largest = std::max(largest, scores[j]);
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) sum += ::exp(std::max((scores[j] - largest) / eps, negligible));
  return -largest - eps * std::log(sum / static_cast<double>(n));
}

Potential softmin_over_columns(double eps, const CostMatrix& c, const Potential& g) {
  Potential f(c.rows);
  std::vector<double> row(c.columns);
  for (size_t i = 0; i < c.rows; ++i) {
    for (size_t j = 0; j < c.columns; ++j) row[j] = g[j] - c.costs[i * c.columns + j];
    f[i] = softmin_row(eps, row.data(), std::ssize(row));
  }
  return f;
}

Potential softmin_over_rows(double eps, const CostMatrix& c, const Potential& f) {
  Potential g(c.columns);
  std::vector<double> column(c.rows);
  for (size_t j = 0; j < c.columns; ++j) {
    for (size_t i = 0; i < c.rows; ++i) column[i] = f[i] - c.costs[i * c.columns + j];
    g[j] = softmin_row(eps, column.data(), std::ssize(column));
  }
  return g;
}

void average_into(Potential& f, const Potential& next) {
  for (size_t i = 0; i < f.size(); ++i) f[i] = 0.5 * (f[i] + next[i]);
}

double mean_of(const Potential& f) {
  double sum = 0;
  for (const double v : f) sum += v;
  return sum / static_cast<double>(f.size());
}

// Diagonal of the box that holds both clouds: geomloss' first blur radius.
double diameter(const PointCloud& x, const PointCloud& y) {
  double squared = 0;
  for (size_t k = 0; k < x.dimension; ++k) {
    double least = x.coordinates[k], largest = least;
    for (const auto* cloud : {&x, &y})
      for (size_t at = k; at < cloud->coordinates.size(); at += cloud->dimension) {
        least = std::min(least, cloud->coordinates[at]);
        largest = std::max(largest, cloud->coordinates[at]);
      }
    squared += (largest - least) * (largest - least);
  }
  return std::sqrt(squared);
}

// diameter^2, then exp of numpy.arange(log diameter^2, log blur^2, log scaling^2), then blur^2.
std::vector<double> temperatures(double diameter, const SinkhornSettings& settings) {
  const double start = 2 * std::log(diameter), stop = 2 * std::log(settings.blur),
               step = 2 * std::log(settings.scaling);
  std::vector<double> eps{diameter * diameter};
  const double count = std::ceil((stop - start) / step);
  for (int i = 0; i < count; ++i) eps.push_back(std::exp(start + i * step));
  eps.push_back(settings.blur * settings.blur);
  return eps;
}

// Mean of both potentials of OT(x, y) after the annealing: f on x, g on y.
double transport_cost(const CostMatrix& c, const std::vector<double>& temperatures) {
  Potential g = softmin_over_rows(temperatures.front(), c, Potential(c.rows, 0));
  Potential f = softmin_over_columns(temperatures.front(), c, Potential(c.columns, 0));
  for (const double eps : temperatures) {
    const Potential next_f = softmin_over_columns(eps, c, g);
    average_into(g, softmin_over_rows(eps, c, f));
    average_into(f, next_f);
  }
  const double eps = temperatures.back();
  return mean_of(softmin_over_columns(eps, c, g)) + mean_of(softmin_over_rows(eps, c, f));
}

// The same for OT(x, x), where both potentials are one.
double own_transport_cost(const PointCloud& x, const std::vector<double>& temperatures) {
  const CostMatrix c(x, x);
  Potential f = softmin_over_columns(temperatures.front(), c, Potential(c.columns, 0));
  for (const double eps : temperatures) average_into(f, softmin_over_columns(eps, c, f));
  return 2 * mean_of(softmin_over_columns(temperatures.back(), c, f));
}

void check(const PointCloud& x, const PointCloud& y, const SinkhornSettings& settings) {
  for (const auto* cloud : {&x, &y}) {
    check_sample(cloud->coordinates, "Sinkhorn divergence: coordinates");
    if (cloud->dimension == 0 || cloud->coordinates.size() % cloud->dimension != 0)
      throw BadData({"Sinkhorn divergence",
                     std::to_string(cloud->coordinates.size()) + " coordinates are no points of dimension " +
                         std::to_string(cloud->dimension),
                     "give count x dimension numbers"});
  }
  if (x.dimension != y.dimension)
    throw BadData(
        {"Sinkhorn divergence",
         "compares points of dimension " + std::to_string(x.dimension) + " and " + std::to_string(y.dimension),
         "both clouds must lie in one space"});
  expect(settings.blur > 0 && settings.scaling > 0 && settings.scaling < 1, "Sinkhorn: blur > 0, scaling in (0, 1)");
}

}  // namespace

double sinkhorn_divergence(const PointCloud& x, const PointCloud& y, const SinkhornSettings& settings) {
  check(x, y, settings);
  const double extent = diameter(x, y);
  if (extent == 0) return 0;
  const auto annealing = temperatures(extent, settings);
  // <a, f_ba - f_aa> + <b, g_ab - g_bb> (Feydy 2020, equation 3.209).
  return transport_cost(CostMatrix(x, y), annealing) -
         (own_transport_cost(x, annealing) + own_transport_cost(y, annealing)) / 2;
}

}  // namespace cmc::metrics
