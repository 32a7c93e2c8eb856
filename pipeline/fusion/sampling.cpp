#include "pipeline/fusion/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/not_finite.hpp"

namespace cmc::fusion {
namespace {

// exp((score - maximum) / temperature): probabilities up to their common factor.
std::vector<double> weights_of(std::span<const float> scores, double temperature) {
  const float maximum = *std::max_element(scores.begin(), scores.end());
  if (!std::isfinite(maximum)) throw_not_finite();
  std::vector<double> weights(scores.size());
  for (size_t v = 0; v < scores.size(); ++v)
    weights[v] = std::exp((static_cast<double>(scores[v]) - maximum) / temperature);
  return weights;
}

// Ids of the smallest set of most probable tokens whose weights reach `enough`, in id order. Selects ever larger tops
// instead of sorting the whole vocabulary.
std::vector<int32_t> nucleus(const std::vector<double>& weights, double enough) {
  const auto before = [&](int32_t a, int32_t b) {
    const double x = weights[static_cast<size_t>(a)], y = weights[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<int32_t> ids(weights.size());
  std::iota(ids.begin(), ids.end(), 0);
  size_t kept = 0;
  double mass = 0.0;
  for (size_t sorted = 0; mass < enough && sorted < ids.size();) {
    const size_t top = std::min(ids.size(), std::max<size_t>(64, sorted * 8));
    std::partial_sort(ids.begin() + static_cast<std::ptrdiff_t>(sorted), ids.begin() + static_cast<std::ptrdiff_t>(top),
                      ids.end(), before);
    for (sorted = top; mass < enough && kept < sorted; ++kept) mass += weights[static_cast<size_t>(ids[kept])];
  }
  ids.resize(kept);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

void check(const Sampling& sampling) {
  if (!(sampling.temperature >= 0.0) || !std::isfinite(sampling.temperature))
    throw BadExperiment(
        {"temperature", "is " + std::to_string(sampling.temperature), "give 0 (greedy) or a positive number"});
  if (!(sampling.top_p > 0.0 && sampling.top_p <= 1.0))
    throw BadExperiment({"top_p", "is " + std::to_string(sampling.top_p), "give a number above 0 and at most 1"});
}

BaseToken draw(std::span<const float> scores, const Sampling& sampling, double uniform) {
  expect(!scores.empty() && sampling.temperature > 0.0, "a sample is drawn from scores at a positive temperature");
  const auto weights = weights_of(scores, sampling.temperature);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  // Drawn in id order, not by rank: rounding that swaps near-equal tokens then moves no border but theirs.
  int32_t last = -1;
  if (sampling.top_p >= 1.0) {
    double rest = uniform * total;
    for (size_t v = 0; v < weights.size(); ++v) {
      if (weights[v] == 0.0) continue;
      last = static_cast<int32_t>(v);
      if ((rest -= weights[v]) < 0.0) break;
    }
    return {last};
  }
  const auto kept = nucleus(weights, sampling.top_p * total);
  double rest = 0.0;
  for (const int32_t id : kept) rest += weights[static_cast<size_t>(id)];
  rest *= uniform;
  for (const int32_t id : kept) {
    last = id;
    if ((rest -= weights[static_cast<size_t>(id)]) < 0.0) break;
  }
  return {last};
}

}  // namespace cmc::fusion
