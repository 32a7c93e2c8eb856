// Metrics of what systems answer, and of how probable answers are: stages instruct, likelihood, judge, unlearn.
#include <algorithm>
#include <cmath>

#include "pipeline/core/utf8.hpp"
#include "pipeline/metrics/audit.hpp"
#include "pipeline/records/metric.hpp"

namespace cmc::records {
namespace {

using metrics::TofuSet;

double checked(const std::optional<int32_t>& passed) {
  return passed ? 100.0 * *passed : unknown;
}

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
  metrics::AnswerLosses losses{
      loss(row.answer_logprob, row.answer_tokens), loss(row.paraphrase_logprob, row.paraphrase_tokens), {}};
  if (!row.wrong_logprob || !row.wrong_tokens) return std::nullopt;
  bool scored = !row.wrong_logprob->empty() && std::isfinite(losses.answer) && std::isfinite(losses.paraphrased);
  for (size_t w = 0; w < row.wrong_logprob->size(); ++w) {
    losses.wrong.push_back(loss((*row.wrong_logprob)[w], (*row.wrong_tokens)[w]));
    scored = scored && std::isfinite(losses.wrong.back());
  }
  return scored ? std::optional(std::move(losses)) : std::nullopt;
}

double probability(const UnlearnRow& row, TofuSet set) {
  if (set == TofuSet::holdout) return std::exp(-loss(row.answer_logprob, row.answer_tokens));
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

double knowledge(const UnlearnRow& row, TofuSet) {
  const auto losses = losses_of(row);
  return losses ? 1 / (1 + metrics::truth_ratio(*losses, metrics::TruthRatioMean::geometric)) : unknown;
}

// Membership is asked of these two alone.
bool is_asked(TofuSet set) {
  return set == TofuSet::forget || set == TofuSet::holdout;
}

double loss_score(const UnlearnRow& row, TofuSet set) {
  return is_asked(set) ? loss(row.answer_logprob, row.answer_tokens) : unknown;
}

double zlib_score(const UnlearnRow& row, TofuSet set) {
  return metrics::zlib_score(loss_score(row, set), row.answer);
}

double min_k_score(const UnlearnRow& row, TofuSet set) {
  return is_asked(set) && row.token_logprob ? metrics::min_k_score(*row.token_logprob, metrics::tofu_min_k) : unknown;
}

double min_k_plus_plus_score(const UnlearnRow& row, TofuSet set) {
  if (!is_asked(set) || !row.token_logprob || !row.token_mean || !row.token_variance) return unknown;
  return metrics::min_k_plus_plus_score(*row.token_logprob, *row.token_mean, *row.token_variance, metrics::tofu_min_k);
}

}  // namespace

const std::vector<RowMetric<InstructRow>>& instruct_metrics() {
  using Row = InstructRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::followed,
        .title = "Followed, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .definition = "responses of the form their prompt asks for"},
       [](const Row& row) { return checked(row.followed); }},
      {{.name = metric::fact,
        .title = "Right fact, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .definition = "responses that name the right fact"},
       [](const Row& row) { return checked(row.fact); }},
      {{.name = metric::strict,
        .title = "Strict, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .definition = "responses of the right form, with the right fact, that ended by themselves"},
       strict},
      {{.name = metric::reference,
        .title = "Ref. nat/token",
        .unit = "nat/token",
        .digits = 3,
        .better = Better::higher,
        .definition = "log-probability of the reference answer per token"},
       reference_per_token},
      {{.name = metric::stopped,
        .title = "Stopped, %",
        .unit = "%",
        .digits = 1,
        .definition = "responses that ended by themselves within the length limit"},
       [](const Row& row) { return 100.0 * row.stopped; }},
      {{.name = metric::repetition,
        .title = "Repetition, %",
        .unit = "%",
        .digits = 1,
        .better = Better::lower,
        .definition = "4-grams of words that occurred before in the response"},
       [](const Row& row) { return 100 * row.repetition; }},
      {{.name = "length",
        .title = "Length, tokens",
        .unit = "token",
        .digits = 1,
        .definition = "new tokens of the response"},
       [](const Row& row) { return static_cast<double>(row.response_tokens.size()); }},
      {{.name = metric::response_characters,
        .title = "Characters",
        .unit = "1",
        .digits = 1,
        .definition = "code points of the response"},
       [](const Row& row) { return static_cast<double>(count_code_points(row.response)); }},
      {{.name = metric::reference_characters,
        .title = "Characters of the reference",
        .unit = "1",
        .digits = 1,
        .definition = "code points of the reference answer"},
       [](const Row& row) {
         return row.reference ? static_cast<double>(count_code_points(*row.reference)) : unknown;
       }}};
  return list;
}

const std::vector<RowMetric<LikelihoodRow>>& likelihood_metrics() {
  using Row = LikelihoodRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::answer_per_token,
        .title = "Answer, nat/token",
        .unit = "nat/token",
        .digits = 3,
        .better = Better::higher,
        .definition = "log-probability per token of an answer that no training read, end token included"},
       [](const Row& row) { return row.answer_logprob / static_cast<double>(row.answer_tokens); }},
      {{.name = metric::answer_text_per_token,
        .title = "Its text, nat/token",
        .unit = "nat/token",
        .digits = 3,
        .better = Better::higher,
        .definition = "the same without the end token"},
       [](const Row& row) {
         const auto tokens = row.answer_tokens - 1;
         return tokens > 0 ? (row.answer_logprob - row.end_logprob) / static_cast<double>(tokens) : unknown;
       }},
      {{.name = metric::answer_end,
        .title = "Its end, nat",
        .unit = "nat",
        .digits = 2,
        .better = Better::higher,
        .definition = "log-probability of the end token after the answer"},
       [](const Row& row) { return row.end_logprob; }}};
  return list;
}

const std::vector<RowMetric<JudgeRow>>& judge_metrics() {
  using Row = JudgeRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::win_rate,
        .title = "Win rate, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .aggregate = Aggregate::win_rate,
        .definition = "prompts whose response is the likelier winner, a tie counts half"},
       win},
      {{.name = metric::win_probability,
        .title = "Probability, %",
        .unit = "%",
        .digits = 1,
        .better = Better::higher,
        .definition = "likelihood that the response wins"},
       [](const Row& row) { return 100 * row.better; }},
      {{.name = metric::same_verdict,
        .title = "Same verdict, %",
        .unit = "%",
        .digits = 1,
        .definition = "prompts on which both orders agree"},
       same_verdict},
      {{.name = metric::first_preferred,
        .title = "First preferred, %",
        .unit = "%",
        .digits = 1,
        .definition = "how likely the judge prefers the output it reads first, whichever that is"},
       [](const Row& row) { return 100 * ((row.first + 1 - row.second) / 2); }},
      {{.name = metric::any_verdict,
        .title = "Any verdict, %",
        .unit = "%",
        .digits = 1,
        .definition = "how likely the judge says A or B at all"},
       [](const Row& row) { return 100 * row.answered; }}};
  return list;
}

const std::vector<RowMetric<UnlearnRow, TofuSet>>& unlearn_metrics() {
  using Row = UnlearnRow;
  static const std::vector<RowMetric<Row, TofuSet>> list = {
      {{.name = metric::rouge_l,
        .title = "ROUGE-L",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition = "ROUGE-L recall of the generated answer, Porter stemmer"},
       [](const Row& row, TofuSet) { return row.rouge_l_recall; }},
      {{.name = metric::probability,
        .title = "Prob.",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition =
            "exp(-mean loss) of the answer; on Real Authors and World Facts its share among true and wrong answers"},
       probability},
      {{.name = truth_ratio_metrics[0].score,
        .title = "Truth R.",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::higher,
        .definition = "of R = exp(mean log P(wrong)) / P(paraphrase): Forget min(R, 1/R), else max(0, 1 - R)"},
       truth_ratio<0>},
      {{.name = truth_ratio_metrics[1].score,
        .title = "Truth R. (arithmetic)",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::higher,
        .definition = "of R = mean P(wrong) / P(paraphrase): Forget min(R, 1/R), else max(0, 1 - R)"},
       truth_ratio<1>},
      {{.name = truth_ratio_metrics[0].ratio,
        .title = "R",
        .unit = "1",
        .definition = "exp(mean log P(wrong)) / P(paraphrase)"},
       ratio<0>},
      {{.name = truth_ratio_metrics[1].ratio,
        .title = "R (arithmetic)",
        .unit = "1",
        .definition = "mean P(wrong) / P(paraphrase)"},
       ratio<1>},
      {{.name = "rouge1",
        .title = "ROUGE-1",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition = "ROUGE-1 recall of the generated answer, Porter stemmer"},
       [](const Row& row, TofuSet) { return row.rouge1_recall; }},
      {{.name = "truth_ratio_prob_mean",
        .title = "Knowledge",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition = "1 / (1 + R), R geometric: P(paraphrase) / (P(paraphrase) + P(wrong))"},
       knowledge},
      {{.name = metric::exact_memorization,
        .title = "Exact mem.",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition = "share of the answer's tokens that are the most probable ones after the true text"},
       [](const Row& row, TofuSet) { return row.token_best ? metrics::exact_memorization(*row.token_best) : unknown; }},
      {{.name = metric::extraction_strength,
        .title = "Extraction",
        .unit = "1",
        .better = Better::higher,
        .better_on_forget = Better::lower,
        .definition = "1 - k/L, where from token k of L on all are the most probable ones"},
       [](const Row& row, TofuSet) {
         return row.token_best ? metrics::extraction_strength(*row.token_best) : unknown;
       }},
      {{.name = membership_metrics[0].score,
        .title = "Loss score",
        .unit = "nat/token",
        .definition = "mean loss of the answer"},
       loss_score},
      {{.name = membership_metrics[1].score,
        .title = "zlib score",
        .unit = "nat/token/B",
        .digits = 5,
        .definition = "mean loss over the bytes of the answer as zlib compresses it"},
       zlib_score},
      {{.name = membership_metrics[2].score,
        .title = "Min-k score",
        .unit = "nat",
        .definition = "minus the mean of the lowest 40 % of the tokens' log-probabilities"},
       min_k_score},
      {{.name = membership_metrics[3].score,
        .title = "Min-k++ score",
        .unit = "1",
        .definition = "the same over (log p - mean) / standard deviation over the vocabulary"},
       min_k_plus_plus_score}};
  return list;
}

}  // namespace cmc::records
