#include "analysis/findings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "analysis/contrast.hpp"
#include "analysis/similarity_runs.hpp"
#include "analysis/stress_tests.hpp"
#include "analysis/tofu_sets.hpp"
#include "pipeline/metrics/strength.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

// Targets that a delta reaches through a token map.
using Others = std::set<std::string>;
Others other_vocabularies(const Record& record) {
  Others targets;
  for (const auto& unit : record.results().units)
    if (!json_field_or(unit.task, "map", std::string(), records::where_of(unit)).empty())
      targets.insert(json_field<std::string>(unit.task, "target", records::where_of(unit)));
  return targets;
}

const std::string choice_set = records::unread_set(name_of(records::UnreadPart::choice)),
                  unread_set = records::unread_set(name_of(records::UnreadPart::unread));

// What the strength of a system is chosen by, smaller is better: of those for instructions the loss of the answers that
// are there to choose by, then how far it is from 1.
std::tuple<double, std::pair<double, double>> rank_of(const Record& record, const std::string& stage,
                                                      const System& system) {
  const double chosen = stage == "unlearn" || stage == "robustness"
                            ? unknown
                            : record.figure(system, choice_set, metric::answer_per_token).value;
  return {std::isnan(chosen) ? std::numeric_limits<double>::infinity() : -chosen,
          metrics::distance_from_1(system.strength)};
}

// A method once for each target and delta: as measured on one of the sets, fused as usual rather than in a variant, at
// the strength that is chosen, or nearest to 1.
std::vector<System> steered(const Record& record, const std::string& stage, const std::vector<std::string>& sets,
                            records::Method method = records::Method::cmc) {
  // From what is judged: not measured, a variant, its strength.
  using Distance = std::tuple<bool, bool, std::tuple<double, std::pair<double, double>>>;
  std::map<std::pair<std::string, std::string>, std::map<Distance, System>> found;
  for (const auto& set : sets)
    for (const System& system : record.systems(stage, set)) {
      if (system.method != method) continue;
      const bool measured = std::ranges::any_of(sets, [&](const auto& each) { return record.items(system, each) > 0; });
      found[{system.target, system.delta}].try_emplace(
          {!measured, !describe(system.fusion).empty(), rank_of(record, stage, system)}, system);
    }
  std::vector<System> list;
  for (const auto& [name, by_distance] : found) list.push_back(by_distance.begin()->second);
  return list;
}

bool has_main_delta(const Record& record, const std::string& stage, const System& system) {
  const std::string main = main_delta(record, stage);
  return main.empty() || system.delta == main;
}

struct Measured {
  System system;
  std::string set;
  std::string_view metric;
};

// Seed by seed, items measured both times.
Samples samples_between(const Record& record, const Measured& baseline, const Measured& measured) {
  Samples samples;
  for (const auto& view : record.views())
    samples.push_back({view.seed().value_or(0), paired(view.of(baseline.system, baseline.set, baseline.metric),
                                                       view.of(measured.system, measured.set, measured.metric))});
  return samples;
}

// The target alone against `system`.
Samples samples_of(const Record& record, const System& system, const std::string& set, std::string_view name) {
  return samples_between(record, {system.vanilla(), set, name}, {system, set, name});
}

void add(Evidence& evidence, Contrast contrast) {
  if (contrast.difference.n > 0) evidence.contrasts.push_back(std::move(contrast));
}

constexpr double relevant_points = 10;  // of a share in %, where a fifth of the baseline may be next to nothing

Contrast contrast_of(std::string_view name, Claim claim, const Samples& samples, const std::string& title = "") {
  const auto& about = records::metric_named(name);
  auto found = contrast(title.empty() ? std::string(about.title) : title, claim, about.digits, samples);
  if (about.unit == "%") found.relevant = std::max(found.relevant, relevant_points);
  return found;
}

Contrast contrast_of(const Record& record, const System& system, const std::string& set, std::string_view name,
                     Claim claim, const std::string& title = "") {
  return contrast_of(name, claim, samples_of(record, system, set, name), title);
}

// Two systems at one metric of a set, which rises.
Contrast rise_between(const Record& record, const System& baseline, const System& system, const std::string& set,
                      std::string_view name) {
  return contrast_of(name, Claim::rises, samples_between(record, {baseline, set, name}, {system, set, name}));
}

const std::string plain_set(name_of(records::Prompts::plain)), checked_set(name_of(records::Prompts::checked));

Evidence instruction_evidence(const Record& record, const System& system, bool other_vocabulary) {
  Evidence evidence{describe(system), other_vocabulary};
  add(evidence, contrast_of(record, system, plain_set, metric::strict, Claim::rises));
  if (evidence.contrasts.empty()) add(evidence, contrast_of(record, system, plain_set, metric::followed, Claim::rises));
  add(evidence, contrast_of(record, system, checked_set, metric::followed, Claim::rises, "Followed by rule, %"));
  add(evidence, contrast_of(record, system, plain_set, metric::reference, Claim::rises));
  return evidence;
}

// What a training minimises, on answers that none read; of these the text, and the end.
Evidence objective_evidence(const Record& record, const System& baseline, const System& system, bool other_vocabulary) {
  Evidence evidence{describe(system), other_vocabulary};
  for (const auto name : {metric::answer_per_token, metric::answer_text_per_token, metric::answer_end})
    add(evidence, rise_between(record, baseline, system, unread_set, name));
  return evidence;
}

Evidence response_evidence(const Record& record, const System& system, bool other_vocabulary) {
  Evidence evidence{describe(system), other_vocabulary};
  add(evidence, contrast_of(record, system, plain_set, metric::stopped, Claim::rises));
  add(evidence, contrast_of(record, system, plain_set, metric::repetition, Claim::falls));
  return evidence;
}

Evidence unlearning_evidence(const Record& record, const System& system, bool other_vocabulary) {
  Evidence evidence{describe(system), other_vocabulary};
  for (const auto& [set, claim] :
       {std::pair(metrics::TofuSet::forget, Claim::falls), std::pair(metrics::TofuSet::retain, Claim::stays)}) {
    const auto& shown = *std::ranges::find(tofu_sets, set, &ShownSet::set);
    for (const auto name : {metric::rouge_l, metric::probability})
      add(evidence, contrast_of(record, system, shown.name(), name, claim,
                                std::string(shown.title) + " " + std::string(records::metric_named(name).title)));
  }
  return evidence;
}

std::vector<std::string> all_tofu_sets() {
  std::vector<std::string> sets;
  for (const auto& shown : tofu_sets) sets.push_back(shown.name());
  return sets;
}

Finding instructions(const Record& record, const Others& others) {
  Finding finding{"Instructions: steered by the one delta, a target follows them better than alone", "steered target"};
  for (const System& system : steered(record, "instruct", {plain_set}))
    if (has_main_delta(record, "instruct", system))  // a sweep's other sizes and epochs stand in tables
      finding.evidence.push_back(instruction_evidence(record, system, others.contains(system.target)));
  return finding;
}

Finding objective(const Record& record, const Others& others) {
  Finding finding{"Objective: steered by the one delta, a target finds answers likelier that no training read",
                  "steered target"};
  for (const System& system : steered(record, "likelihood", {unread_set}))
    if (has_main_delta(record, "instruct", system))
      finding.evidence.push_back(objective_evidence(record, system.vanilla(), system, others.contains(system.target)));
  return finding;
}

bool is_control(const Record& record, const std::string& delta) {
  return experiment_value(record.results().header.experiment, "delta." + delta + ".answers_of_others") == "yes";
}

// The first delta on each target, and a control on the same one.
std::vector<std::pair<System, System>> beside_controls(const Record& record, const std::string& stage,
                                                       const std::string& set) {
  std::vector<std::pair<System, System>> pairs;
  const auto systems = steered(record, stage, {set});
  for (const System& system : systems)
    for (const System& control : systems)
      if (has_main_delta(record, "instruct", system) && control.target == system.target &&
          is_control(record, control.delta))
        pairs.emplace_back(system, control);
  return pairs;
}

// Baseline: the same target steered by a delta that has learned the answers' form alone.
Finding beyond_control(const Record& record, const Others& others) {
  Finding finding{"Content: the one delta does more than one that read each question with the answer to another",
                  "comparison"};
  for (const auto& [system, control] : beside_controls(record, "likelihood", unread_set))
    finding.evidence.push_back(objective_evidence(record, control, system, others.contains(system.target)));
  for (const auto& [system, control] : beside_controls(record, "instruct", plain_set)) {
    Evidence evidence{describe(system) + ", responses", others.contains(system.target)};
    for (const auto& [set, name] : {std::pair(checked_set, metric::followed), {plain_set, metric::reference}})
      add(evidence, rise_between(record, control, system, set, name));
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

Finding responses(const Record& record, const Others& others) {
  Finding finding{"Responses: steered by the one delta, a target ends by itself more often and repeats less",
                  "steered target"};
  for (const System& system : steered(record, "instruct", {plain_set}))
    if (has_main_delta(record, "instruct", system))
      finding.evidence.push_back(response_evidence(record, system, others.contains(system.target)));
  return finding;
}

// first: by the delta that the experiment names first; others: by those that are compared with it.
enum class Deltas { first, others };

Finding unlearning(const Record& record, Deltas deltas, const Others& others) {
  Finding finding{deltas == Deltas::first
                      ? "Unlearning: steered by the one delta, a target forgets what it should and keeps the rest"
                      : "Unlearning by the deltas compared with it: the same",
                  "steered target"};
  for (const System& system : steered(record, "unlearn", all_tofu_sets()))
    if (has_main_delta(record, "unlearn", system) == (deltas == Deltas::first))
      finding.evidence.push_back(unlearning_evidence(record, system, others.contains(system.target)));
  return finding;
}

// Each purpose's effects, by what adds both deltas.
Finding composition(const Record& record, const Others& others) {
  Finding finding{"Composition: an instruction and an unlearning delta added together each keep their effect",
                  "effect"};
  for (const System& system : steered(record, "instruct", {plain_set}, records::Method::composed)) {
    finding.evidence.push_back(instruction_evidence(record, system, others.contains(system.target)));
    finding.evidence.back().on += ", instructions";
  }
  for (const System& system : steered(record, "unlearn", all_tofu_sets(), records::Method::composed)) {
    finding.evidence.push_back(unlearning_evidence(record, system, others.contains(system.target)));
    finding.evidence.back().on += ", unlearning";
  }
  return finding;
}

constexpr double least_way_back = 0.2;

// Baseline: the steered target asked as usual.
Finding return_under(const Record& record, const records::Stress& stress, const Others& others) {
  Finding finding{"Robustness: what a steered target has unlearned comes back under " + describe(stress),
                  "steered target"};
  const std::string forget(metrics::name_of(metrics::TofuSet::forget)), set = records::stressed_set(forget, stress);
  for (const System& system : steered(record, "robustness", {set})) {
    Evidence evidence{describe(system), others.contains(system.target)};
    for (const auto name : {metric::rouge_l, metric::probability}) {
      const auto samples = samples_between(record, {system, forget, name}, {system, set, name});
      const auto& about = records::metric_named(name);
      auto found = contrast("Forget " + std::string(about.title), Claim::returns, about.digits, samples);
      found.way_back = found.difference.value /
                       (record.figure(system.vanilla().without_seed(), forget, name).value - found.baseline.value);
      found.holds = found.holds && found.way_back >= least_way_back;
      found.relevant = least_way_back * std::abs(found.difference.value / found.way_back);
      add(evidence, std::move(found));
    }
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

// Baseline: each of the other ways to map.
Evidence nearer_than_others(const Record& record, const System& usual, const std::vector<System>& systems) {
  const std::string set(records::byte_exact_set);
  Evidence evidence{describe_curve(usual), true};
  for (const System& other : systems) {
    if (other == usual || other.target != usual.target || other.delta != usual.delta) continue;
    const auto samples =
        samples_between(record, {other, set, metric::map_divergence}, {usual, set, metric::map_divergence});
    add(evidence, contrast("nat from byte-exact, " + describe(other.fusion), Claim::falls, 3, samples));
  }
  return evidence;
}

Finding maps(const Record& record) {
  Finding finding{"Token maps: the paper's is nearer to the delta's own distribution over bytes than another",
                  "steered target"};
  const auto systems = record.systems("byte_exact", std::string(records::byte_exact_set));
  for (const System& system : systems)
    if (describe(system.fusion).empty()) finding.evidence.push_back(nearer_than_others(record, system, systems));
  return finding;
}

// Baseline: the other model fine-tuned on different data.
Finding shifts(const Record& record) {
  Finding finding{"Logit shifts: closer after fine-tuning on the same data than on different data", "pair"};
  const auto& sinkhorn = records::shift_measures.front();
  for (const ShiftPair& pair : shift_pairs(record)) {
    const auto samples = samples_between(record, {pair.system, pair.set(), sinkhorn.different},
                                         {pair.system, pair.set(), sinkhorn.same});
    Evidence evidence{describe(pair)};
    add(evidence, contrast("Sinkhorn divergence", Claim::falls, 3, samples));
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

}  // namespace

std::vector<Finding> find_effects(const Record& record) {
  const Others others = other_vocabularies(record);
  std::vector<Finding> findings;
  const auto add_where_measured = [&](Finding finding) {
    if (!finding.evidence.empty()) findings.push_back(std::move(finding));
  };
  add_where_measured(objective(record, others));
  add_where_measured(beyond_control(record, others));
  add_where_measured(responses(record, others));
  findings.push_back(instructions(record, others));
  findings.push_back(unlearning(record, Deltas::first, others));
  add_where_measured(unlearning(record, Deltas::others, others));
  add_where_measured(composition(record, others));
  for (const auto& stress : stress_tests(record)) findings.push_back(return_under(record, stress, others));
  add_where_measured(maps(record));
  findings.push_back(shifts(record));
  return findings;
}

}  // namespace cmc::analysis
