#include "pipeline/metrics/audit.hpp"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/checked_sample.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::metrics {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

template <class Value>
std::span<const Value> without_end(std::span<const Value> tokens) {
  return tokens.first(tokens.empty() ? 0 : tokens.size() - 1);
}

double minus_mean_of_lowest(std::vector<double> scores, double share) {
  if (scores.empty()) return none;
  const auto wanted = static_cast<size_t>(static_cast<double>(scores.size()) * share);
  const auto count = std::clamp<size_t>(wanted, 1, scores.size());
  std::ranges::sort(scores);
  return -std::accumulate(scores.begin(), scores.begin() + static_cast<ptrdiff_t>(count), 0.0) /
         static_cast<double>(count);
}

// 1 where the member's score is lower, ½ where both are equal.
double placement(double member, double other) {
  return member < other ? 1.0 : member == other ? 0.5 : 0.0;
}

double variance_of_mean(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double spread = standard_deviation(values);
  return spread * spread / static_cast<double>(values.size());
}

}  // namespace

double exact_memorization(std::span<const int32_t> best) {
  const auto tokens = without_end(best);
  if (tokens.empty()) return none;
  return static_cast<double>(std::ranges::count(tokens, 1)) / static_cast<double>(tokens.size());
}

double extraction_strength(std::span<const int32_t> best) {
  const auto tokens = without_end(best);
  if (tokens.empty()) return none;
  size_t k = tokens.size();
  while (k > 0 && tokens[k - 1] == 1) --k;
  k = std::min(k, tokens.size() - 1);
  return 1 - static_cast<double>(k) / static_cast<double>(tokens.size());
}

double min_k_score(std::span<const float> log_probs, double share) {
  const auto tokens = without_end(log_probs);
  return minus_mean_of_lowest({tokens.begin(), tokens.end()}, share);
}

double min_k_plus_plus_score(std::span<const float> log_probs, std::span<const float> means,
                             std::span<const float> variances, double share) {
  expect(log_probs.size() == means.size() && means.size() == variances.size(), "every token has its two moments");
  std::vector<double> scores;
  for (size_t t = 0; t < without_end(log_probs).size(); ++t)
    scores.push_back((double{log_probs[t]} - means[t]) / std::sqrt(std::max(double{variances[t]}, 1e-6)));
  return minus_mean_of_lowest(std::move(scores), share);
}

double zlib_score(double loss, std::string_view text) {
  uLongf size = compressBound(static_cast<uLong>(text.size()));
  std::vector<Bytef> compressed(size);
  const int code =
      compress(compressed.data(), &size, reinterpret_cast<const Bytef*>(text.data()), static_cast<uLong>(text.size()));
  expect(code == Z_OK, "a text is compressed into the bytes that zlib asks for");
  return loss / static_cast<double>(size);
}

MembershipAuc membership_auc(std::span<const double> forget, std::span<const double> holdout) {
  check_sample(forget, "membership inference: scores of the forget set");
  check_sample(holdout, "membership inference: scores of the holdout set");
  std::vector<double> of_members, of_others;
  for (const double member : forget) {
    double sum = 0;
    for (const double other : holdout) sum += placement(member, other);
    of_members.push_back(sum / static_cast<double>(holdout.size()));
  }
  for (const double other : holdout) {
    double sum = 0;
    for (const double member : forget) sum += placement(member, other);
    of_others.push_back(sum / static_cast<double>(forget.size()));
  }
  return {mean(of_members), std::sqrt(variance_of_mean(of_members) + variance_of_mean(of_others))};
}

double privacy_leakage(double auc, double reference) {
  expect(reference < 1, "the reference model does not tell all members");
  return 100 * ((1 - auc) - (1 - reference)) / (1 - reference);
}

}  // namespace cmc::metrics
