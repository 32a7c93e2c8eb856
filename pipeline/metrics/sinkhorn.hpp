#pragma once
#include <cstddef>
#include <span>

namespace cmc::metrics {

// A cloud of `count` points with equal weights. `coordinates`: [count, dimension] row-major.
struct PointCloud {
  std::span<const double> coordinates;
  size_t dimension = 1;
  size_t count() const { return coordinates.size() / dimension; }
};

struct SinkhornSettings {
  double blur = 0.01;    // the last temperature is blur^2 (the paper's appendix; geomloss' own default is 0.05)
  double scaling = 0.5;  // blur radius between two steps of the annealing, in (0, 1)
};

// Debiased Sinkhorn divergence with the cost |x - y|^2 / 2 (Feydy 2020, algorithm 3.5), as
// geomloss.SamplesLoss("sinkhorn", p=2, blur, scaling) computes it; 0 where all points of both coincide. Memory:
// three cost matrices. Throws BadData on an empty cloud, a coordinate that is not finite, or two dimensions.
double sinkhorn_divergence(const PointCloud& x, const PointCloud& y, const SinkhornSettings& settings = {});

}  // namespace cmc::metrics
