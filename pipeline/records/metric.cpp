#include "pipeline/records/metric.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace cmc::records {
namespace {

using metrics::TofuSet;

double checked(const std::optional<int32_t>& passed) { return passed ? 100.0 * *passed : unknown; }

// Followed, with the right fact, and ended by itself; unknown where one of the three is.
double strict(const InstructRow& row) {
  if (!row.followed || !row.fact) return unknown;
  return *row.followed == 1 && *row.fact == 1 && row.stopped == 1 ? 100 : 0;
}

double reference_per_token(const InstructRow& row) {
  const auto tokens = row.reference_tokens.value_or(0);
  return tokens > 0 && row.reference_logprob ? *row.reference_logprob / static_cast<double>(tokens) : unknown;
}

double win(const JudgeRow& row) {
  return std::isnan(row.better) ? unknown : row.better > 0.5 ? 100 : row.better < 0.5 ? 0 : 50;
}

// Whether both orders prefer the same response; else the place decides.
double same_verdict(const JudgeRow& row) {
  if (std::isnan(row.first) || std::isnan(row.second)) return unknown;
  return (row.first > 0.5) == (row.second > 0.5) && (row.first < 0.5) == (row.second < 0.5) ? 100 : 0;
}

// Mean negative log-probability per token. Rounding may leave a certain answer a hair above probability 1.
double loss(double log_prob, int64_t tokens) {
  return tokens > 0 ? std::max(0.0, -log_prob / static_cast<double>(tokens)) : unknown;
}

// Empty where an answer of the item was not scored.
std::optional<metrics::AnswerLosses> losses_of(const UnlearnRow& row) {
  metrics::AnswerLosses losses{loss(row.answer_logprob, row.answer_tokens), loss(row.paraphrase_logprob, row.paraphrase_tokens), {}};
  bool scored = !row.wrong_logprob.empty() && std::isfinite(losses.answer) && std::isfinite(losses.paraphrased);
  for (size_t w = 0; w < row.wrong_logprob.size(); ++w) {
    losses.wrong.push_back(loss(row.wrong_logprob[w], row.wrong_tokens[w]));
    scored = scored && std::isfinite(losses.wrong.back());
  }
  return scored ? std::optional(std::move(losses)) : std::nullopt;
}

double probability(const UnlearnRow& row, TofuSet set) {
  const auto losses = losses_of(row);
  return losses ? metrics::answer_probability(*losses, set) : unknown;
}

template <size_t mean>
double ratio(const UnlearnRow& row, TofuSet) {
  const auto losses = losses_of(row);
  return losses ? metrics::truth_ratio(*losses, truth_ratio_metrics[mean].mean) : unknown;
}

template <size_t mean>
double truth_ratio(const UnlearnRow& row, TofuSet set) {
  const double r = ratio<mean>(row, set);
  return std::isnan(r) ? unknown : metrics::truth_ratio_score(r, set);
}

// Of the first or last tenth of the steps, at least one.
double mean_loss_of_tenth(const std::vector<StepRow>& steps, bool last) {
  if (steps.empty()) return unknown;
  const size_t n = std::max<size_t>(1, steps.size() / 10), from = last ? steps.size() - n : 0;
  std::vector<double> losses;
  for (size_t i = from; i < from + n; ++i) losses.push_back(steps[i].loss);
  return mean_figure(losses).value;
}

double median_seconds(const std::vector<StepRow>& steps) {
  if (steps.empty()) return unknown;
  std::vector<double> seconds;
  for (const auto& step : steps) seconds.push_back(step.seconds);
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return *middle;
}

double tokens_per_second(const std::vector<StepRow>& steps) {
  double tokens = 0, seconds = 0;
  for (const auto& step : steps) tokens += step.tokens, seconds += step.seconds;
  return seconds > 0 ? tokens / seconds : unknown;
}

}  // namespace

const std::vector<RowMetric<InstructRow>>& instruct_metrics() {
  using Row = InstructRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::followed, .title = "Followed, %", .unit = "%", .digits = 1, .better = Better::higher,
        .definition = "responses of the form their prompt asks for"},
       [](const Row& row) { return checked(row.followed); }},
      {{.name = metric::fact, .title = "Right fact, %", .unit = "%", .digits = 1, .better = Better::higher,
        .definition = "responses that name the right fact"},
       [](const Row& row) { return checked(row.fact); }},
      {{.name = metric::strict, .title = "Strict, %", .unit = "%", .digits = 1, .better = Better::higher,
        .definition = "responses of the right form, with the right fact, that ended by themselves"},
       strict},
      {{.name = metric::reference, .title = "Ref. nat/token", .unit = "nat/token", .digits = 3, .better = Better::higher,
        .definition = "log-probability of the reference answer per token"},
       reference_per_token},
      {{.name = "stopped", .title = "Stopped, %", .unit = "%", .digits = 1,
        .definition = "responses that ended by themselves within the length limit"},
       [](const Row& row) { return 100.0 * row.stopped; }},
      {{.name = "repetition", .title = "Repetition, %", .unit = "%", .digits = 1, .better = Better::lower,
        .definition = "4-grams of words that occurred before in the response"},
       [](const Row& row) { return 100 * row.repetition; }},
      {{.name = "length", .title = "Length, tokens", .unit = "token", .digits = 1, .definition = "new tokens of the response"},
       [](const Row& row) { return static_cast<double>(row.response_tokens.size()); }}};
  return list;
}

const std::vector<RowMetric<JudgeRow>>& judge_metrics() {
  using Row = JudgeRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::win_rate, .title = "Win rate, %", .unit = "%", .digits = 1, .better = Better::higher,
        .aggregate = Aggregate::win_rate, .definition = "prompts whose response is the likelier winner, a tie counts half"},
       win},
      {{.name = metric::win_probability, .title = "Probability, %", .unit = "%", .digits = 1, .better = Better::higher,
        .definition = "likelihood that the response wins"},
       [](const Row& row) { return 100 * row.better; }},
      {{.name = metric::same_verdict, .title = "Same verdict, %", .unit = "%", .digits = 1,
        .definition = "prompts on which both orders agree"},
       same_verdict},
      {{.name = metric::first_preferred, .title = "First preferred, %", .unit = "%", .digits = 1,
        .definition = "how likely the judge prefers the output it reads first, whichever that is"},
       [](const Row& row) { return 100 * ((row.first + 1 - row.second) / 2); }},
      {{.name = metric::any_verdict, .title = "Any verdict, %", .unit = "%", .digits = 1,
        .definition = "how likely the judge says A or B at all"},
       [](const Row& row) { return 100 * row.answered; }}};
  return list;
}

const std::vector<RowMetric<UnlearnRow, TofuSet>>& unlearn_metrics() {
  using Row = UnlearnRow;
  static const std::vector<RowMetric<Row, TofuSet>> list = {
      {{.name = metric::rouge_l, .title = "ROUGE-L", .unit = "1", .better = Better::higher, .better_on_forget = Better::lower,
        .definition = "ROUGE-L recall of the generated answer, Porter stemmer"},
       [](const Row& row, TofuSet) { return row.rouge_l_recall; }},
      {{.name = metric::probability, .title = "Prob.", .unit = "1", .better = Better::higher, .better_on_forget = Better::lower,
        .definition = "exp(-mean loss) of the answer; on Real Authors and World Facts its share among true and wrong answers"},
       probability},
      {{.name = truth_ratio_metrics[0].score, .title = "Truth R.", .unit = "1", .better = Better::higher,
        .better_on_forget = Better::higher,
        .definition = "of R = exp(mean log P(wrong)) / P(paraphrase): Forget min(R, 1/R), else max(0, 1 - R)"},
       truth_ratio<0>},
      {{.name = truth_ratio_metrics[1].score, .title = "Truth R. (arithmetic)", .unit = "1", .better = Better::higher,
        .better_on_forget = Better::higher,
        .definition = "of R = mean P(wrong) / P(paraphrase): Forget min(R, 1/R), else max(0, 1 - R)"},
       truth_ratio<1>},
      {{.name = truth_ratio_metrics[0].ratio, .title = "R", .unit = "1", .definition = "exp(mean log P(wrong)) / P(paraphrase)"},
       ratio<0>},
      {{.name = truth_ratio_metrics[1].ratio, .title = "R (arithmetic)", .unit = "1", .definition = "mean P(wrong) / P(paraphrase)"},
       ratio<1>},
      {{.name = "rouge1", .title = "ROUGE-1", .unit = "1", .better = Better::higher, .better_on_forget = Better::lower,
        .definition = "ROUGE-1 recall of the generated answer, Porter stemmer"},
       [](const Row& row, TofuSet) { return row.rouge1_recall; }}};
  return list;
}

const std::vector<RowMetric<ShiftRow>>& shift_metrics() {
  using Row = ShiftRow;
  constexpr std::string_view cloud = "Sinkhorn divergence (p 2, blur 0.01, debiased) of both models' shifts, points: steps",
                             line = "the same, points: tokens; mean over steps", pearson = "Pearson correlation of both models' shifts",
                             square = "mean squared difference of both models' shifts";
  static const std::vector<RowMetric<Row>> list = {
      {{.name = shift_measures[0].same, .title = "Same data", .unit = "1", .better = Better::lower, .definition = cloud},
       [](const Row& row) { return row.sinkhorn_same; }},
      {{.name = shift_measures[0].different, .title = "Different", .unit = "1", .definition = cloud},
       [](const Row& row) { return row.sinkhorn_different; }},
      {{.name = shift_measures[0].difference, .title = "Difference", .unit = "1", .better = Better::higher, .definition = cloud},
       [](const Row& row) { return row.sinkhorn_different - row.sinkhorn_same; }},
      {{.name = shift_measures[1].same, .title = "Same data", .unit = "1", .better = Better::higher, .definition = pearson},
       [](const Row& row) { return row.pearson_same; }},
      {{.name = shift_measures[1].different, .title = "Different", .unit = "1", .definition = pearson},
       [](const Row& row) { return row.pearson_different; }},
      {{.name = shift_measures[1].difference, .title = "Difference", .unit = "1", .better = Better::lower, .definition = pearson},
       [](const Row& row) { return row.pearson_different - row.pearson_same; }},
      {{.name = shift_measures[2].same, .title = "Same data", .unit = "1", .better = Better::lower, .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_same; }},
      {{.name = shift_measures[2].different, .title = "Different", .unit = "1", .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_different; }},
      {{.name = shift_measures[2].difference, .title = "Difference", .unit = "1", .better = Better::higher, .definition = line},
       [](const Row& row) { return row.sinkhorn_per_step_different - row.sinkhorn_per_step_same; }},
      {{.name = shift_measures[3].same, .title = "Same data", .unit = "nat2", .better = Better::lower, .definition = square},
       [](const Row& row) { return row.mean_square_same; }},
      {{.name = shift_measures[3].different, .title = "Different", .unit = "nat2", .definition = square},
       [](const Row& row) { return row.mean_square_different; }},
      {{.name = shift_measures[3].difference, .title = "Difference", .unit = "nat2", .better = Better::higher, .definition = square},
       [](const Row& row) { return row.mean_square_different - row.mean_square_same; }}};
  return list;
}

const std::vector<RowMetric<CoverageRow>>& coverage_metrics() {
  using Row = CoverageRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = "map_tokens", .title = "Tokens", .unit = "token", .digits = 0, .aggregate = Aggregate::single,
        .definition = "tokens of the target's vocabulary"},
       [](const Row& row) { return static_cast<double>(row.exact + row.inexact + row.unmapped); }},
      {{.name = "map_exact", .title = "Exact", .unit = "token", .digits = 0, .aggregate = Aggregate::single,
        .definition = "those with an identical delta token"},
       [](const Row& row) { return static_cast<double>(row.exact); }},
      {{.name = "map_inexact", .title = "Inexact", .unit = "token", .digits = 0, .aggregate = Aggregate::single,
        .definition = "those with the prefix-related token of the smallest edit distance"},
       [](const Row& row) { return static_cast<double>(row.inexact); }},
      {{.name = "map_unmapped", .title = "Unmapped", .unit = "token", .digits = 0, .aggregate = Aggregate::single,
        .definition = "those without a delta token"},
       [](const Row& row) { return static_cast<double>(row.unmapped); }},
      {{.name = "map_share", .title = "Mapped, %", .unit = "%", .digits = 2, .aggregate = Aggregate::single,
        .definition = "tokens with a delta token"},
       [](const Row& row) {
         const auto mapped = static_cast<double>(row.exact + row.inexact), total = mapped + static_cast<double>(row.unmapped);
         return 100 * mapped / total;
       }}};
  return list;
}

const std::vector<TrainingMetric>& training_metrics() {
  using Steps = std::vector<StepRow>;
  static const std::vector<TrainingMetric> list = {
      {{.name = "steps", .title = "Steps", .unit = "1", .digits = 0, .aggregate = Aggregate::single,
        .definition = "optimiser steps", .over_seeds = OverSeeds::same},
       [](const Steps& steps) { return static_cast<double>(steps.size()); }},
      {{.name = "loss_first_tenth", .title = "Loss, first tenth", .unit = "nat", .aggregate = Aggregate::single,
        .definition = "minimised loss, mean over the first tenth of the steps"},
       [](const Steps& steps) { return mean_loss_of_tenth(steps, false); }},
      {{.name = "loss_last_tenth", .title = "Loss, last tenth", .unit = "nat", .aggregate = Aggregate::single,
        .definition = "minimised loss, mean over the last tenth of the steps"},
       [](const Steps& steps) { return mean_loss_of_tenth(steps, true); }},
      {{.name = "step_seconds", .title = "Step, s", .unit = "s", .aggregate = Aggregate::single,
        .definition = "median wall time of a step"},
       median_seconds},
      {{.name = "training_tokens_per_second", .title = "Tokens/s", .unit = "token/s", .digits = 1, .aggregate = Aggregate::single,
        .definition = "tokens read by the trained model in a second"},
       tokens_per_second}};
  return list;
}

const std::vector<Metric>& computed_metrics() {
  constexpr std::string_view p = "two-sided p-value of the difference, paired bootstrap over prompts";
  constexpr std::string_view utility = "harmonic mean of the nine figures that are not Forget's; standard error by bootstrap";
  constexpr std::string_view quality =
      "p-value of the Kolmogorov-Smirnov test of R on Forget against the same target trained without that set";
  static const std::vector<Metric> list = {
      {.name = metric::wins, .title = "Wins, %", .unit = "%", .digits = 1, .better = Better::higher,
       .aggregate = Aggregate::win_rate,
       .definition = "prompts whose reference the system finds likelier than its target alone does; a tie counts half"},
      {.name = truth_ratio_metrics[0].utility, .title = "Utility", .unit = "1", .better = Better::higher,
       .aggregate = Aggregate::computed, .definition = utility},
      {.name = truth_ratio_metrics[1].utility, .title = "Utility (arithmetic)", .unit = "1", .better = Better::higher,
       .aggregate = Aggregate::computed, .definition = utility},
      {.name = truth_ratio_metrics[0].quality, .title = "Forget q.", .unit = "1", .better = Better::higher,
       .aggregate = Aggregate::computed, .definition = quality},
      {.name = truth_ratio_metrics[1].quality, .title = "Forget q. (arithmetic)", .unit = "1", .better = Better::higher,
       .aggregate = Aggregate::computed, .definition = quality},
      {.name = shift_measures[0].p, .title = "p", .unit = "1", .aggregate = Aggregate::computed, .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[1].p, .title = "p", .unit = "1", .aggregate = Aggregate::computed, .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[2].p, .title = "p", .unit = "1", .aggregate = Aggregate::computed, .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[3].p, .title = "p", .unit = "1", .aggregate = Aggregate::computed, .definition = p,
       .over_seeds = OverSeeds::largest}};
  return list;
}

const std::vector<Metric>& all_metrics() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> list;
    const auto add = [&](const auto& some) {
      for (const auto& metric : some) list.push_back(metric.about);
    };
    add(instruct_metrics()), add(judge_metrics()), add(unlearn_metrics()), add(shift_metrics()), add(coverage_metrics());
    add(training_metrics());
    list.insert(list.end(), computed_metrics().begin(), computed_metrics().end());
    return list;
  }();
  return all;
}

int metric_code(std::string_view name) {
  static const auto places = [] {
    std::unordered_map<std::string_view, int> codes;
    for (const auto& metric : all_metrics()) codes.emplace(metric.name, static_cast<int>(codes.size()));
    return codes;
  }();
  const auto found = places.find(name);
  expect(found != places.end(), "a metric is looked up by its declared name");
  return found->second;
}

}  // namespace cmc::records
