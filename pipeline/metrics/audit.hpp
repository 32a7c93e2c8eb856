#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace cmc::metrics {

// What an auditor of an unlearned model computes from the log-probabilities of an answer's tokens, by the names and
// formulas of open-unlearning (Dorna et al. 2025, src/evals/metrics). "Tokens" leave out the last one of an answer,
// which ends it. NaN where none is left.

// Share of tokens that are the most probable ones after the true text before them. `best`: 1 or 0 for each token.
double exact_memorization(std::span<const int32_t> best);
// 1 − k/L, where from token k (from 0) to the last all are the most probable ones; 1/L at least.
double extraction_strength(std::span<const int32_t> best);

// Scores for membership inference: the lower, the more an answer looks like one that was trained on.
// Minus the mean of the lowest max(1, ⌊share · L⌋) log-probabilities (Shi et al. 2024).
double min_k_score(std::span<const float> log_probs, double share);
// The same over (log p − mean) / √max(variance, 1e-6), of what the vocabulary has there (Zhang et al. 2025).
double min_k_plus_plus_score(std::span<const float> log_probs, std::span<const float> means,
                             std::span<const float> variances, double share);
inline constexpr double tofu_min_k = 0.4;  // open-unlearning's for TOFU
// Mean loss (nat) over the bytes of the text as zlib compresses it (Carlini et al. 2021).
double zlib_score(double loss, std::string_view text);

// How well a score tells members (`forget`) from others (`holdout`): the probability that a member's is lower, a tie
// counts half; 0.5: not at all. Its standard error is DeLong's (1988).
struct MembershipAuc {
  double value = 0, standard_error = 0;
};
// Throws BadData where a sample is empty or holds what is not finite.
MembershipAuc membership_auc(std::span<const double> forget, std::span<const double> holdout);

// PrivLeak (Shi et al. 2024, MUSE), %: ((1 − auc) − (1 − reference)) / (1 − reference); 0: as a model that never saw
// the forget set. `reference` < 1.
double privacy_leakage(double auc, double reference);
inline constexpr double chance_auc = 0.5;  // of a reference that is not at hand

}  // namespace cmc::metrics
