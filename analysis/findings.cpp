#include "analysis/findings.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/contrast.hpp"
#include "analysis/instruct_runs.hpp"
#include "analysis/seeds.hpp"
#include "analysis/similarity_runs.hpp"
#include "analysis/tofu_runs.hpp"
#include "analysis/unit_values.hpp"
#include "pipeline/metrics/strength.hpp"

namespace cmc::analysis {
namespace {

// What each seed measured, by seed; one entry where there is at most one.
template <class Runs>
using BySeed = std::map<int64_t, Runs>;

template <class Collect>
auto by_seed(const store::Results& results, Collect collect) {
  BySeed<decltype(collect(results))> runs;
  const auto seeds = seeds_of(results);
  if (seeds.size() < 2) {
    runs[seeds.empty() ? 0 : seeds.front()] = collect(results);
    return runs;
  }
  for (const int64_t seed : seeds) runs[seed] = collect(units_of_seed(results, seed));
  return runs;
}

// Targets that a delta reaches through a token map.
std::set<std::string> other_vocabularies(const store::Results& results) {
  std::set<std::string> targets;
  for (const auto& unit : results.units)
    if (!text_of(unit.task, "map").empty()) targets.insert(text_of(unit.task, "target"));
  return targets;
}

// CMC once for each target and delta: as measured, fused as usual rather than in a variant, at the strength nearest
// to 1.
template <class Runs, class Measured>
std::vector<System> steered(const BySeed<Runs>& runs, Measured measured) {
  // From what is judged: not measured, a variant, strength from 1.
  using Distance = std::tuple<bool, bool, std::pair<double, double>>;
  std::map<std::pair<std::string, std::string>, std::map<Distance, System>> found;
  for (const auto& [seed, systems] : runs)
    for (const auto& [system, run] : systems)
      if (system.method == "cmc")
        found[{system.target, system.delta}].try_emplace(
            {!measured(run), !system.mode.empty(), metrics::distance_from_1(system.alpha)}, system);
  std::vector<System> list;
  for (const auto& [name, by_distance] : found) list.push_back(by_distance.begin()->second);
  return list;
}

// `values`: a run's item → value. The target alone against `system`, seed by seed.
template <class Runs, class Values>
Samples samples_of(const BySeed<Runs>& runs, const System& system, Values values) {
  Samples samples;
  for (const auto& [seed, systems] : runs) {
    const auto alone = systems.find(system.vanilla()), with = systems.find(system);
    if (alone == systems.end() || with == systems.end()) continue;
    samples.push_back({seed, paired(values(alone->second), values(with->second))});
  }
  return samples;
}

void add(Evidence& evidence, Contrast contrast) {
  if (contrast.difference.n > 0) evidence.contrasts.push_back(std::move(contrast));
}

using Answers = std::map<int64_t, InstructAnswer>;

template <class Value>
auto values_of(Value value, double scale) {
  return [value, scale](const Answers& answers) {
    ItemValues values;
    for (const auto& [item, answer] : answers) values[item] = scale * std::invoke(value, answer);
    return values;
  };
}

Finding instructions(const store::Results& results) {
  Finding finding{"Instructions: steered by the one delta, a target follows them better than alone", "steered target"};
  const auto plain = by_seed(results, [](const auto& r) { return collect_instruct(r, "plain"); });
  const auto checked = by_seed(results, [](const auto& r) { return collect_instruct(r, "checked"); });
  const auto others = other_vocabularies(results);
  const auto measured = [](const Answers& answers) { return !answers.empty(); };
  const std::string main = main_delta(results.header.experiment, "instruct");
  for (const System& system : steered(plain, measured)) {
    if (!main.empty() && system.delta != main) continue;  // a sweep's other sizes and epochs
    Evidence evidence{describe(system), others.contains(system.target)};
    const auto percent = [&](const auto& runs, auto value) { return samples_of(runs, system, values_of(value, 100)); };
    add(evidence, contrast("Strict, %", Claim::rises, 1, percent(plain, &InstructAnswer::strict)));
    if (evidence.contrasts.empty())
      add(evidence, contrast("Followed, %", Claim::rises, 1, percent(plain, &InstructAnswer::followed)));
    add(evidence, contrast("Followed by rule, %", Claim::rises, 1, percent(checked, &InstructAnswer::followed)));
    const auto reference = values_of(&InstructAnswer::reference_per_token, 1);
    add(evidence, contrast("Ref. nat/token", Claim::rises, 3, samples_of(plain, system, reference)));
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

ItemValues by_item(const TofuItems& items, const std::vector<double>& values) {
  ItemValues named;
  size_t i = 0;
  for (const auto& [item, answer] : items) named[item] = values[i++];
  return named;
}

Finding unlearning(const store::Results& results) {
  Finding finding{"Unlearning: steered by the one delta, a target forgets what it should and keeps the rest",
                  "steered target"};
  const auto runs = by_seed(results, collect_tofu);
  const auto others = other_vocabularies(results);
  const auto measured = [](const TofuRun& run) { return !run.sets.empty(); };
  for (const System& system : steered(runs, measured)) {
    Evidence evidence{describe(system), others.contains(system.target)};
    for (const auto& [set, claim] :
         {std::pair(metrics::TofuSet::forget, Claim::falls), std::pair(metrics::TofuSet::retain, Claim::stays)}) {
      const auto rouge = [&](const TofuRun& run) { return by_item(run.items(set), rouge_l_values(run.items(set))); };
      const auto probability = [&](const TofuRun& run) {
        return by_item(run.items(set), probability_values(run.items(set), set));
      };
      add(evidence, contrast(title_of(set) + " ROUGE-L", claim, 3, samples_of(runs, system, rouge)));
      add(evidence, contrast(title_of(set) + " Prob.", claim, 3, samples_of(runs, system, probability)));
    }
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

// Baseline: the other model fine-tuned on different data.
Finding shifts(const store::Results& results) {
  Finding finding{"Logit shifts: closer after fine-tuning on the same data than on different data", "pair"};
  const auto runs = by_seed(results, collect_similarity);
  std::set<ShiftPair> pairs;
  for (const auto& [seed, found] : runs)
    for (const auto& [pair, items] : found) pairs.insert(pair);
  for (const ShiftPair& pair : pairs) {
    Samples samples;
    for (const auto& [seed, found] : runs) {
      const auto items = found.find(pair);
      if (items == found.end()) continue;
      ItemValues same, different;
      for (const auto& [item, shift] : items->second)
        same[item] = shift.same.sinkhorn, different[item] = shift.different.sinkhorn;
      samples.push_back({seed, paired(different, same)});
    }
    Evidence evidence{describe(pair)};
    add(evidence, contrast("Sinkhorn divergence", Claim::falls, 3, samples));
    finding.evidence.push_back(std::move(evidence));
  }
  return finding;
}

}  // namespace

std::vector<Finding> find_effects(const store::Results& results) {
  return {instructions(results), unlearning(results), shifts(results)};
}

}  // namespace cmc::analysis
