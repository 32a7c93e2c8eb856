#include "pipeline/metrics/response_health.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/text_parts.hpp"

namespace cmc::metrics {
namespace {

template <class Item>
double repeated_share(const std::vector<Item>& items, int n) {
  expect(n >= 1, "repetition_rate needs n >= 1");
  const auto length = static_cast<size_t>(n);
  if (items.size() < length) return 0;
  std::set<std::vector<Item>> distinct;
  const size_t all = items.size() - length + 1;
  for (size_t i = 0; i < all; ++i)
    distinct.emplace(items.begin() + static_cast<ptrdiff_t>(i), items.begin() + static_cast<ptrdiff_t>(i + length));
  return 1 - static_cast<double>(distinct.size()) / static_cast<double>(all);
}

}  // namespace

double repetition_rate(std::string_view text, int n) {
  return repeated_share(words_of(text), n);
}

double repetition_rate(std::span<const int32_t> tokens, int n) {
  return repeated_share(std::vector<int32_t>(tokens.begin(), tokens.end()), n);
}

ResponseHealth response_health(std::string_view response, StopReason reason) {
  const auto words = words_of(response);
  return {words.empty(), reason != StopReason::length, repeated_share(words, 4), static_cast<int64_t>(words.size())};
}

HealthSummary summarise(std::span<const ResponseHealth> responses) {
  if (responses.empty()) throw BadData({"response health", "has no response", "generate at least one"});
  HealthSummary total;
  for (const auto& response : responses) {
    total.nonempty += !response.empty;
    total.stopped += response.stopped;
    total.repetition += response.repetition;
    total.words += static_cast<double>(response.words);
  }
  const auto n = static_cast<double>(responses.size());
  return {total.nonempty / n, total.stopped / n, total.repetition / n, total.words / n};
}

}  // namespace cmc::metrics
