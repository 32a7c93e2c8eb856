#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/metrics/tofu.hpp"
#include "pipeline/records/figure.hpp"
#include "pipeline/records/rows.hpp"

namespace cmc::records {

enum class Better { neither, higher, lower };

// How a system's values of a set become one figure.
enum class Aggregate {
  mean,      // over items, with its standard error
  win_rate,  // of 100 (a win), 50 (a tie) and 0, as alpaca_eval's leaderboard computes it
  single,    // one value, which is the figure
  computed,  // of other metrics, by a function of its own; has no values of items
};

// What is measured. Declared once; tables, comparisons, HDF5 and Python have it from here.
struct Metric {
  std::string_view name;   // "rouge_l", in /metrics
  std::string_view title;  // "ROUGE-L", of a column
  std::string_view unit;   // "1", "%", "nat/token"
  int digits = 3;          // shown after the decimal point
  Better better = Better::neither;
  Better better_on_forget = Better::neither;  // of TOFU's forget set
  Aggregate aggregate = Aggregate::mean;
  std::string_view definition;
  OverSeeds over_seeds = OverSeeds::mean;
};

// A metric of each row that a stage writes; NaN where the row does not tell.
template <class Row, class... More>
struct RowMetric {
  Metric about;
  double (*value)(const Row& row, More... more);
};

// One list for each stage, in the order of its table. Adding a metric is a line here.
const std::vector<RowMetric<InstructRow>>& instruct_metrics();  // of checked prompts, too
const std::vector<RowMetric<IfevalRow>>& ifeval_metrics();
const std::vector<RowMetric<JudgeRow>>& judge_metrics();
const std::vector<RowMetric<UnlearnRow, metrics::TofuSet>>& unlearn_metrics();
const std::vector<RowMetric<ShiftRow>>& shift_metrics();
const std::vector<RowMetric<CoverageRow>>& coverage_metrics();
const std::vector<RowMetric<ByteExactRow>>& byte_exact_metrics();
const std::vector<RowMetric<LikelihoodRow>>& likelihood_metrics();
// Of a training as a whole.
template <class Row>
struct TrainingMetric {
  Metric about;
  double (*value)(const std::vector<Row>& rows);
};
const std::vector<TrainingMetric<StepRow>>& training_metrics();
const std::vector<TrainingMetric<HeldOutRow>>& held_out_metrics();
// Those that compare systems, or put sets and metrics together.
const std::vector<Metric>& computed_metrics();

// All of them; a metric is known by its place. Throws Internal for a name that is not there.
const std::vector<Metric>& all_metrics();
int metric_code(std::string_view name);
inline const Metric& metric_named(std::string_view name) {
  return all_metrics()[static_cast<size_t>(metric_code(name))];
}

template <>
struct EnumNames<Better> {
  static constexpr NamedEnum names{
      "direction",
      std::to_array<Named<Better>>({{Better::neither, ""}, {Better::higher, "higher"}, {Better::lower, "lower"}})};
};
template <>
struct EnumNames<Aggregate> {
  static constexpr NamedEnum names{
      "aggregate", std::to_array<Named<Aggregate>>(
                       {{Aggregate::mean, "mean over items ± standard error"},
                        {Aggregate::win_rate, "win rate of wins (100), ties (50) and losses (0) ± standard error"},
                        {Aggregate::single, "single measurement"},
                        {Aggregate::computed, "as defined"}})};
};

// Metrics that are looked up by name, here and in analysis.
namespace metric {
inline constexpr std::string_view followed = "followed", fact = "fact", strict = "strict",
                                  reference = "reference_per_token", wins = "wins", rouge_l = "rouge_l",
                                  probability = "probability";
inline constexpr std::string_view win_rate = "win_rate", win_probability = "win_probability",
                                  same_verdict = "same_verdict", first_preferred = "first_preferred",
                                  any_verdict = "any_verdict", length_controlled = "length_controlled_win_rate";
inline constexpr std::string_view response_characters = "response_characters",
                                  reference_characters = "reference_characters";
inline constexpr std::string_view ifeval_prompt_strict = "ifeval_prompt_strict",
                                  ifeval_prompt_loose = "ifeval_prompt_loose",
                                  ifeval_instruction_strict = "ifeval_instruction_strict",
                                  ifeval_instruction_loose = "ifeval_instruction_loose",
                                  ifeval_followed_strict = "ifeval_followed_strict",
                                  ifeval_followed_loose = "ifeval_followed_loose",
                                  ifeval_instructions = "ifeval_instructions", ifeval_stopped = "ifeval_stopped";
inline constexpr std::string_view exact_memorization = "exact_memorization",
                                  extraction_strength = "extraction_strength", mia_reference = "mia_reference",
                                  privleak = "privleak";
inline constexpr std::string_view stopped = "stopped", repetition = "repetition";
inline constexpr std::string_view answer_per_token = "answer_per_token",
                                  answer_text_per_token = "answer_text_per_token", answer_end = "answer_end";
inline constexpr std::string_view map_divergence = "map_divergence", map_same_choice = "map_same_choice";
}  // namespace metric

// Of the two ways to average wrong answers in the truth ratio; names of its score, its R, utility and forget quality.
struct TruthRatioMetrics {
  metrics::TruthRatioMean mean;
  std::string_view score, ratio, utility, quality;
};
inline constexpr std::array truth_ratio_metrics = {
    TruthRatioMetrics{metrics::TruthRatioMean::geometric, "truth_ratio", "truth_ratio_r", "utility", "forget_quality"},
    TruthRatioMetrics{metrics::TruthRatioMean::arithmetic, "truth_ratio_arithmetic", "truth_ratio_arithmetic_r",
                      "utility_arithmetic", "forget_quality_arithmetic"}};

// Membership inference: a score of each answer of the forget and the holdout set, and how well it tells them apart.
struct MembershipMetrics {
  std::string_view score, auc, title;
};
inline constexpr std::array membership_metrics = {
    MembershipMetrics{"mia_loss_score", "mia_loss", "MIA loss"},
    MembershipMetrics{"mia_zlib_score", "mia_zlib", "MIA zlib"},
    MembershipMetrics{"mia_min_k_score", "mia_min_k", "MIA min-k"},
    MembershipMetrics{"mia_min_k_plus_plus_score", "mia_min_k_plus_plus", "MIA min-k++"}};

// How alike shifts are, by what; on the same data, on different data, the difference, and its p-value.
struct ShiftMetrics {
  std::string_view title, same, different, difference, p;
};
inline constexpr std::array shift_measures = {
    ShiftMetrics{"Sinkhorn divergence / 100", "sinkhorn_same", "sinkhorn_different", "sinkhorn_difference",
                 "sinkhorn_p"},
    ShiftMetrics{"Pearson r", "pearson_same", "pearson_different", "pearson_difference", "pearson_p"},
    ShiftMetrics{"Sinkhorn, mean of steps", "sinkhorn_per_step_same", "sinkhorn_per_step_different",
                 "sinkhorn_per_step_difference", "sinkhorn_per_step_p"},
    ShiftMetrics{"Mean square, nat²", "mean_square_same", "mean_square_different", "mean_square_difference",
                 "mean_square_p"}};

}  // namespace cmc::records
