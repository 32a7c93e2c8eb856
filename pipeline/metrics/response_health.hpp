#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace cmc::metrics {

enum class StopReason { end_token, stop_sequence, length };

// What can be seen in a response without understanding it.
struct ResponseHealth {
  bool empty = false;     // nothing but white space
  bool stopped = false;   // by an end token or stop sequence, not by the length limit
  double repetition = 0;  // share of 4-grams that occurred before in the same response, [0, 1)
  int64_t words = 0;      // between white space
};

ResponseHealth response_health(std::string_view response, StopReason reason);

// 1 - distinct / all n-grams, of words between white space or of token ids; 0 where there is no n-gram. `n` >= 1.
double repetition_rate(std::string_view text, int n = 4);
double repetition_rate(std::span<const int32_t> tokens, int n = 4);

// Means over responses (shares in [0, 1]). Throws BadData on none.
struct HealthSummary {
  double nonempty = 0;
  double stopped = 0;
  double repetition = 0;
  double words = 0;
};
HealthSummary summarise(std::span<const ResponseHealth> responses);

}  // namespace cmc::metrics
