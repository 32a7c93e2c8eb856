#include "analysis/findings.hpp"

#include <algorithm>
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

// A method once for each target and delta: as measured on one of the sets, fused as usual rather than in a variant, at
// the strength nearest to 1.
std::vector<System> steered(const Record& record, const std::string& stage, const std::vector<std::string>& sets,
                            records::Method method = records::Method::cmc) {
  // From what is judged: not measured, a variant, strength from 1.
  using Distance = std::tuple<bool, bool, std::pair<double, double>>;
  std::map<std::pair<std::string, std::string>, std::map<Distance, System>> found;
  for (const auto& set : sets)
    for (const System& system : record.systems(stage, set)) {
      if (system.method != method) continue;
      const bool measured = std::ranges::any_of(sets, [&](const auto& each) { return record.items(system, each) > 0; });
      found[{system.target, system.delta}].try_emplace(
          {!measured, !describe(system.fusion).empty(), metrics::distance_from_1(system.strength)}, system);
    }
  std::vector<System> list;
  for (const auto& [name, by_distance] : found) list.push_back(by_distance.begin()->second);
  return list;
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

Contrast contrast_of(const Record& record, const System& system, const std::string& set, std::string_view name,
                     Claim claim, const std::string& title = "") {
  const auto& about = records::metric_named(name);
  return contrast(title.empty() ? std::string(about.title) : title, claim, about.digits,
                  samples_of(record, system, set, name));
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
  const std::string main = main_delta(record, "instruct");
  for (const System& system : steered(record, "instruct", {plain_set}))
    if (main.empty() || system.delta == main)  // a sweep's other sizes and epochs stand in tables
      finding.evidence.push_back(instruction_evidence(record, system, others.contains(system.target)));
  return finding;
}

// first: by the delta that the experiment names first; others: by those that are compared with it.
enum class Deltas { first, others };

Finding unlearning(const Record& record, Deltas deltas, const Others& others) {
  Finding finding{deltas == Deltas::first
                      ? "Unlearning: steered by the one delta, a target forgets what it should and keeps the rest"
                      : "Unlearning by the deltas compared with it: the same",
                  "steered target"};
  const std::string main = main_delta(record, "unlearn");
  for (const System& system : steered(record, "unlearn", all_tofu_sets()))
    if ((main.empty() || system.delta == main) == (deltas == Deltas::first))
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
  std::vector<Finding> findings = {instructions(record, others), unlearning(record, Deltas::first, others)};
  const auto add_where_measured = [&](Finding finding) {
    if (!finding.evidence.empty()) findings.push_back(std::move(finding));
  };
  add_where_measured(unlearning(record, Deltas::others, others));
  add_where_measured(composition(record, others));
  for (const auto& stress : stress_tests(record)) findings.push_back(return_under(record, stress, others));
  add_where_measured(maps(record));
  findings.push_back(shifts(record));
  return findings;
}

}  // namespace cmc::analysis
