#include "pipeline/metrics/tofu.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/metrics/checked_sample.hpp"
#include "pipeline/metrics/kolmogorov_smirnov.hpp"
#include "pipeline/metrics/summary.hpp"

namespace cmc::metrics {
namespace {
constexpr NamedEnum sets("TOFU set", std::to_array<Named<TofuSet>>({{TofuSet::retain, "retain"},
                                                                    {TofuSet::real_authors, "real_authors"},
                                                                    {TofuSet::world_facts, "world_facts"},
                                                                    {TofuSet::forget, "forget"},
                                                                    {TofuSet::holdout, "holdout"}}));

void check_loss(double loss, const char* which) {
  if (!std::isfinite(loss) || loss < 0)
    throw BadData({std::string("TOFU: loss of the ") + which, "is " + std::to_string(loss),
                   "a loss is a mean negative log-probability: finite and not negative"});
}

void check_losses(const AnswerLosses& losses) {
  check_loss(losses.answer, "answer");
  check_loss(losses.paraphrased, "paraphrased answer");
  if (losses.wrong.empty())
    throw BadData({"TOFU: losses of the wrong answers", "are missing", "score at least one perturbed answer"});
  for (const double loss : losses.wrong) check_loss(loss, "wrong answers");
}

// Log of the mean of exp(-loss), without underflow where all losses are large.
double log_mean_probability(const std::vector<double>& losses) {
  const double least = *std::min_element(losses.begin(), losses.end());
  double sum = 0;
  for (const double loss : losses) sum += std::exp(least - loss);
  return std::log(sum / static_cast<double>(losses.size())) - least;
}

bool is_real(TofuSet set) {
  return set == TofuSet::real_authors || set == TofuSet::world_facts;
}

}  // namespace

std::string_view name_of(TofuSet set) {
  return sets.name_of(set);
}

std::optional<TofuSet> find_tofu_set(std::string_view name) {
  return sets.find(name);
}

double truth_ratio(const AnswerLosses& losses, TruthRatioMean mean_kind) {
  check_losses(losses);
  const double log_wrong =
      mean_kind == TruthRatioMean::geometric ? -mean(losses.wrong) : log_mean_probability(losses.wrong);
  return std::exp(log_wrong + losses.paraphrased);
}

std::vector<double> truth_ratios(std::span<const AnswerLosses> items, TruthRatioMean mean_kind) {
  std::vector<double> ratios;
  for (const auto& losses : items) ratios.push_back(truth_ratio(losses, mean_kind));
  return ratios;
}

double truth_ratio_score(double ratio, TofuSet set) {
  if (std::isnan(ratio) || ratio < 0)
    throw BadData({"TOFU: truth ratio", "is " + std::to_string(ratio), "a ratio of probabilities is not negative"});
  return set == TofuSet::forget ? std::min(ratio, 1 / ratio) : std::max(0.0, 1 - ratio);
}

double answer_probability(const AnswerLosses& losses, TofuSet set) {
  if (!is_real(set)) {
    check_loss(losses.answer, "answer");
    return std::exp(-losses.answer);
  }
  check_losses(losses);
  double wrong_over_true = 0;  // relative to P(answer), which may be too small for a double
  for (const double loss : losses.wrong) wrong_over_true += std::exp(losses.answer - loss);
  return 1 / (1 + wrong_over_true);
}

TofuScores score_tofu_set(TofuSet set, std::span<const AnswerLosses> items, std::span<const double> rouge_l_recalls,
                          TruthRatioMean mean_kind) {
  const std::string name = "TOFU: set " + std::string(name_of(set));
  if (items.empty()) throw BadData({name, "holds no item", "score at least one"});
  if (items.size() != rouge_l_recalls.size())
    throw BadData({name,
                   "has " + std::to_string(items.size()) + " scored items and " +
                       std::to_string(rouge_l_recalls.size()) + " ROUGE recalls",
                   "both must cover the same items"});
  std::vector<double> probabilities, ratios;
  for (const auto& losses : items) {
    probabilities.push_back(answer_probability(losses, set));
    ratios.push_back(truth_ratio_score(truth_ratio(losses, mean_kind), set));
  }
  return {mean(rouge_l_recalls), mean(probabilities), mean(ratios)};
}

double model_utility(const TofuScores& retain, const TofuScores& real_authors, const TofuScores& world_facts) {
  double reciprocals = 0;
  for (const auto* set : {&retain, &real_authors, &world_facts})
    for (const double score : {set->rouge_l, set->probability, set->truth_ratio}) {
      if (!std::isfinite(score) || score < 0)
        throw BadData(
            {"TOFU: model utility", "takes figures from 0 on, got " + std::to_string(score), "check the set's scores"});
      reciprocals += 1 / score;  // 1/0 = inf makes the mean 0
    }
  return 9 / reciprocals;
}

double forget_quality(std::span<const double> unlearned_ratios, std::span<const double> retain_only_ratios) {
  check_sample(unlearned_ratios, "forget quality: truth ratios of the unlearned model");
  check_sample(retain_only_ratios, "forget quality: truth ratios of the retain-only model");
  if (std::ranges::equal(unlearned_ratios, retain_only_ratios))
    throw BadData({"forget quality", "compares two lists of the same numbers",
                   "give the truth ratios of an unlearned and of a retain-only model, not one model twice"});
  return ks_test(unlearned_ratios, retain_only_ratios).p_value;
}

}  // namespace cmc::metrics
