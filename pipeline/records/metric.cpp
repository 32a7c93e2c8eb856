#include "pipeline/records/metric.hpp"

#include <unordered_map>

namespace cmc::records {

const std::vector<Metric>& computed_metrics() {
  constexpr std::string_view p = "two-sided p-value of the difference, paired bootstrap over prompts";
  constexpr std::string_view utility =
      "harmonic mean of the nine figures that are not Forget's; standard error by bootstrap";
  constexpr std::string_view quality =
      "p-value of the Kolmogorov-Smirnov test of R on Forget against the same target trained without that set";
  constexpr std::string_view auc =
      "probability that an answer of the forget set has a lower score than one of the holdout set, which no model has "
      "read (AUC); 0.5: they cannot be told apart";
  static const std::vector<Metric> list = {
      {.name = metric::wins,
       .title = "Wins, %",
       .unit = "%",
       .digits = 1,
       .better = Better::higher,
       .aggregate = Aggregate::win_rate,
       .definition = "prompts whose reference the system finds likelier than its target alone does; a tie counts half"},
      {.name = metric::length_controlled,
       .title = "LC win rate, %",
       .unit = "%",
       .digits = 1,
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = "what a logistic regression of the judge's preferences on the difference of lengths predicts for "
                     "equal ones: AlpacaEval's length-controlled win rate in its minimal form"},
      {.name = metric::ifeval_instruction_strict,
       .title = "Instructions, strict",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = "share of all instructions that are followed; standard error of a ratio, clustered by prompt"},
      {.name = metric::ifeval_instruction_loose,
       .title = "Instructions, loose",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = "the same, loosely"},
      {.name = truth_ratio_metrics[0].utility,
       .title = "Utility",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = utility},
      {.name = truth_ratio_metrics[1].utility,
       .title = "Utility (arithmetic)",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = utility},
      {.name = truth_ratio_metrics[0].quality,
       .title = "Forget q.",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = quality},
      {.name = truth_ratio_metrics[1].quality,
       .title = "Forget q. (arithmetic)",
       .unit = "1",
       .better = Better::higher,
       .aggregate = Aggregate::computed,
       .definition = quality},
      {.name = membership_metrics[0].auc,
       .title = membership_metrics[0].title,
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = auc},
      {.name = membership_metrics[1].auc,
       .title = membership_metrics[1].title,
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = auc},
      {.name = membership_metrics[2].auc,
       .title = membership_metrics[2].title,
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = auc},
      {.name = membership_metrics[3].auc,
       .title = membership_metrics[3].title,
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = auc},
      {.name = metric::mia_reference,
       .title = "MIA reference",
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = "the same by the loss minus that of the same target trained without the forget set"},
      {.name = metric::privleak,
       .title = "PrivLeak, %",
       .unit = "%",
       .digits = 1,
       .aggregate = Aggregate::computed,
       .definition =
           "((1 - AUC) - (1 - AUC of the same target trained without the forget set, else 0.5)) / (1 - that), "
           "of min-k; 0: nothing shows"},
      {.name = shift_measures[0].p,
       .title = "p",
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[1].p,
       .title = "p",
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[2].p,
       .title = "p",
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = p,
       .over_seeds = OverSeeds::largest},
      {.name = shift_measures[3].p,
       .title = "p",
       .unit = "1",
       .aggregate = Aggregate::computed,
       .definition = p,
       .over_seeds = OverSeeds::largest}};
  return list;
}

const std::vector<Metric>& all_metrics() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> list;
    const auto add = [&](const auto& some) {
      for (const auto& metric : some) list.push_back(metric.about);
    };
    add(instruct_metrics()), add(ifeval_metrics()), add(judge_metrics()), add(unlearn_metrics()), add(shift_metrics()),
        add(coverage_metrics()), add(byte_exact_metrics()), add(likelihood_metrics());
    add(training_metrics()), add(held_out_metrics());
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
