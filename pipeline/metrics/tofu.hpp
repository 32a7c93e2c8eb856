#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cmc::metrics {

// TOFU's measures (Maini et al. 2024, section 2.2), from losses: a loss is the mean negative log-probability of an
// answer's tokens (nat), so that P(answer) = exp(-loss) is per token. Every function throws BadData on an empty set and
// on a loss that is NaN, infinite or negative.

// holdout: questions of the same kind that no model has read, for membership inference; it has no wrong answers.
enum class TofuSet { retain, real_authors, world_facts, forget, holdout };

// "retain", "real_authors", "world_facts", "forget", "holdout".
std::string_view name_of(TofuSet set);
std::optional<TofuSet> find_tofu_set(std::string_view name);

// How the wrong answers' probabilities are averaged in the truth ratio; both are in use and differ a lot.
enum class TruthRatioMean {
  geometric,   // exp of the mean log-probability: the authors' script and later toolkits; printed by default
  arithmetic,  // mean of the probabilities
};

// Losses of one item.
struct AnswerLosses {
  double answer = 0;          // of `answer`
  double paraphrased = 0;     // of `paraphrased_answer`; equals `answer` where the set has no paraphrases
  std::vector<double> wrong;  // of each perturbed answer, at least one
};

// R = mean over wrong answers of P / P(paraphrase), in (0, inf): small where the model knows the truth.
double truth_ratio(const AnswerLosses& losses, TruthRatioMean mean);
std::vector<double> truth_ratios(std::span<const AnswerLosses> items, TruthRatioMean mean);

// One item's share of its set's truth ratio: min(R, 1/R) for the forget set, max(0, 1 - R) for the others.
double truth_ratio_score(double ratio, TofuSet set);

// P(answer); on the two real sets P(answer) / (P(answer) + sum of P(wrong)).
double answer_probability(const AnswerLosses& losses, TofuSet set);

// A set's three figures, each the mean over its items, in [0, 1].
struct TofuScores {
  double rouge_l = 0;  // recall, Porter stemmer
  double probability = 0;
  double truth_ratio = 0;
};

// `rouge_l_recalls`: one for each item.
TofuScores score_tofu_set(TofuSet set, std::span<const AnswerLosses> items, std::span<const double> rouge_l_recalls,
                          TruthRatioMean mean);

// Harmonic mean of the nine figures that are not of the forget set; 0 where one of them is 0.
double model_utility(const TofuScores& retain, const TofuScores& real_authors, const TofuScores& world_facts);

// p-value of the two-sample KS test between the forget set's truth ratios of an unlearned model and of one that never
// saw the set. Throws BadData where both hold the same numbers: a file compared with itself gives 1 and means nothing.
double forget_quality(std::span<const double> unlearned_ratios, std::span<const double> retain_only_ratios);

}  // namespace cmc::metrics
