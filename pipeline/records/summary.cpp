#include "pipeline/records/summary.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "pipeline/core/random.hpp"
#include "pipeline/metrics/audit.hpp"
#include "pipeline/metrics/length_controlled.hpp"
#include "pipeline/metrics/summary.hpp"
#include "pipeline/metrics/win_rate.hpp"
#include "pipeline/records/ifeval_metrics.hpp"

namespace cmc::records {
namespace {

using metrics::TofuSet;
using Figures = std::map<std::tuple<System, std::string, int>, Figure>;

Figure figure_of(const std::vector<double>& values, Aggregate aggregate) {
  if (values.empty()) return {};
  if (aggregate == Aggregate::single) return plain_figure(values.back());
  if (aggregate != Aggregate::win_rate) return mean_figure(values);
  std::vector<double> preferences;
  for (const double value : values) preferences.push_back(1 + value / 100);
  const auto rate = metrics::win_rate(preferences);
  return {rate.win_rate, rate.standard_error, rate.n, unknown};
}

// Per item that has all three: ROUGE-L recall, probability, truth ratio.
using Sample = std::vector<std::array<double, 3>>;

Sample sample_of(const View& view, const System& system, TofuSet set, std::string_view ratio) {
  const std::string_view name = metrics::name_of(set);
  const auto rouge = view.of(system, name, metric::rouge_l), probability = view.of(system, name, metric::probability),
             ratios = view.of(system, name, ratio);
  Sample sample;
  const auto at = [](std::span<const Measurement> rows, int64_t item) -> const Measurement* {
    const auto found = std::ranges::lower_bound(rows, item, {}, &Measurement::item);
    return found != rows.end() && found->item == item ? &*found : nullptr;
  };
  for (const auto& row : rouge) {
    const auto *p = at(probability, row.item), *r = at(ratios, row.item);
    if (p && r) sample.push_back({row.value, p->value, r->value});
  }
  return sample;
}

// Means over the items, or over a resample of them where `random` is given.
metrics::TofuScores scores_of(const Sample& sample, Random* random) {
  std::array<double, 3> sum{};
  const auto n = sample.size();
  for (size_t i = 0; i < n; ++i) {
    const auto& item = sample[random ? random->below(n) : i];
    for (size_t k = 0; k < 3; ++k) sum[k] += item[k];
  }
  const auto count = static_cast<double>(n);
  return {sum[0] / count, sum[1] / count, sum[2] / count};
}

// Its standard error by bootstrap over the items of each set (1,000 resamples): the harmonic mean has no simple one.
Figure utility(const View& view, const System& system, const TruthRatioMetrics& names) {
  const auto retain = sample_of(view, system, TofuSet::retain, names.score),
             authors = sample_of(view, system, TofuSet::real_authors, names.score),
             facts = sample_of(view, system, TofuSet::world_facts, names.score);
  if (retain.empty() || authors.empty() || facts.empty()) return {};
  const auto once = [&](Random* random) {
    const auto first = scores_of(retain, random), second = scores_of(authors, random), third = scores_of(facts, random);
    return metrics::model_utility(first, second, third);
  };
  constexpr int resamples = 1000;
  Random random(17);
  std::vector<double> values;
  for (int i = 0; i < resamples; ++i) values.push_back(once(&random));
  return {once(nullptr), metrics::standard_deviation(values),
          static_cast<int64_t>(retain.size() + authors.size() + facts.size()), unknown};
}

// The same target trained on the retained data alone, where the experiment has one.
System retain_only(const System& system) {
  System reference = system.vanilla();
  reference.method = Method::retain_only;
  return reference;
}

// Against the same target trained on the retained data alone, where the experiment has one.
Figure forget_quality(const View& view, const System& system, const TruthRatioMetrics& names) {
  if (system.method == Method::retain_only) return {};
  const std::string_view forget = metrics::name_of(TofuSet::forget);
  const auto ours = view.values(system, forget, names.ratio),
             theirs = view.values(retain_only(system), forget, names.ratio);
  if (ours.empty() || theirs.empty() || ours == theirs) return {};  // equal: the same model twice says nothing
  return {metrics::forget_quality(ours, theirs), unknown, static_cast<int64_t>(ours.size()), unknown};
}

Figure membership(const std::vector<double>& forget, const std::vector<double>& holdout) {
  if (forget.empty() || holdout.empty()) return {};
  const auto auc = metrics::membership_auc(forget, holdout);
  return {auc.value, auc.standard_error, static_cast<int64_t>(forget.size() + holdout.size()), unknown};
}

Figure membership(const View& view, const System& system, std::string_view score) {
  const auto values = [&](TofuSet set) { return view.values(system, metrics::name_of(set), score); };
  return membership(values(TofuSet::forget), values(TofuSet::holdout));
}

// By what the answers' losses are above those of the reference model.
Figure membership_by_reference(const View& view, const System& system) {
  const auto values = [&](TofuSet set) {
    const std::string_view score = membership_metrics[0].score, name = metrics::name_of(set);
    const auto theirs = view.of(retain_only(system), name, score);
    std::vector<double> differences;
    for (const auto& mine : view.of(system, name, score))
      if (const auto at = std::ranges::lower_bound(theirs, mine.item, {}, &Measurement::item);
          at != theirs.end() && at->item == mine.item)
        differences.push_back(mine.value - at->value);
    return differences;
  };
  if (system.method == Method::retain_only) return {};
  return membership(values(TofuSet::forget), values(TofuSet::holdout));
}

Figure privacy_leakage(const View& view, const System& system) {
  const std::string_view score = membership_metrics[2].score;
  const Figure ours = membership(view, system, score);
  if (std::isnan(ours.value) || system.method == Method::retain_only) return {};
  const Figure theirs = membership(view, retain_only(system), score);
  const double reference = std::isnan(theirs.value) ? metrics::chance_auc : theirs.value;
  if (reference >= 1) return {};
  return {metrics::privacy_leakage(ours.value, reference), unknown, ours.n, unknown};
}

void add_tofu(const View& view, Figures& figures) {
  for (const auto& system : view.systems()) {
    const auto add = [&](std::string_view metric, const Figure& figure) {
      if (!std::isnan(figure.value)) figures[{system, std::string(tofu_sets_together), metric_code(metric)}] = figure;
    };
    for (const auto& names : truth_ratio_metrics) {
      add(names.utility, utility(view, system, names));
      add(names.quality, forget_quality(view, system, names));
    }
    for (const auto& names : membership_metrics) add(names.auc, membership(view, system, names.score));
    add(metric::mia_reference, membership_by_reference(view, system));
    add(metric::privleak, privacy_leakage(view, system));
  }
}

void add_shift_tests(const View& view, Figures& figures) {
  std::vector<std::pair<std::tuple<System, std::string, int>, Figure>> added;
  for (const auto& [place, figure] : figures) {
    const auto& [system, set, code] = place;
    for (const auto& names : shift_measures) {
      if (code != metric_code(names.difference)) continue;
      std::vector<double> same, different;
      const auto other = view.of(system, set, names.different);
      auto at = other.begin();
      for (const auto& row : view.of(system, set, names.same)) {
        while (at != other.end() && at->item < row.item) ++at;
        if (at != other.end() && at->item == row.item) same.push_back(row.value), different.push_back(at->value);
      }
      if (same.empty()) continue;
      added.push_back(
          {{system, set, metric_code(names.p)}, plain_figure(metrics::paired_bootstrap(different, same).p_value)});
    }
  }
  figures.insert(added.begin(), added.end());
}

std::map<int64_t, double> by_item(std::span<const Measurement> rows) {
  std::map<int64_t, double> values;
  for (const auto& row : rows) values.emplace(row.item, row.value);
  return values;
}

// Whose outputs the judge compared the system's with: how long they are.
std::map<int64_t, double> baseline_lengths(const View& view, const System& system, const std::string& set) {
  const std::string_view plain = name_of(Prompts::plain);
  const bool alone = set.ends_with(" against " + std::string(name_of(Against::vanilla)));
  return by_item(alone ? view.of(system.vanilla(), plain, metric::response_characters)
                       : view.of(system, plain, metric::reference_characters));
}

Figure length_controlled(const View& view, const System& system, const std::string& set) {
  const auto ours = by_item(view.of(system, name_of(Prompts::plain), metric::response_characters)),
             theirs = baseline_lengths(view, system, set);
  std::vector<metrics::JudgedPair> pairs;
  for (const auto& row : view.of(system, set, metric::win_probability)) {
    const auto mine = ours.find(row.item), other = theirs.find(row.item);
    if (mine == ours.end() || other == theirs.end()) return {};
    pairs.push_back({1 + row.value / 100, static_cast<int64_t>(other->second), static_cast<int64_t>(mine->second)});
  }
  if (pairs.size() < metrics::least_judged_pairs) return {};
  const auto rate = metrics::length_controlled_win_rate(pairs, metrics::LengthControl::minimal);
  return {rate.win_rate, unknown, rate.n, unknown};  // its predictions are all alike: they have no spread
}

void add_length_controlled(const View& view, Figures& figures) {
  for (const auto& system : view.systems())
    for (const auto& set : view.all().sets()) {
      if (view.of(system, set, metric::win_probability).empty()) continue;
      const Figure figure = length_controlled(view, system, set);
      if (!std::isnan(figure.value)) figures[{system, set, metric_code(metric::length_controlled)}] = figure;
    }
}

void add_ifeval(const View& view, Figures& figures) {
  for (const auto& system : view.systems())
    for (const auto& set : view.all().sets())
      for (const auto& share : instruction_shares)
        if (const Figure figure = instruction_share(view, system, set, share); !std::isnan(figure.value))
          figures[{system, set, metric_code(share.share)}] = figure;
}

// What a judge is like, of all systems: mean over prompts of each prompt's mean over systems, whose judgements of one
// prompt are not independent.
void add_judges(const View& view, Figures& figures) {
  std::map<std::pair<std::string, int>, std::map<int64_t, std::vector<double>>> values;
  for (const auto& system : view.systems())
    for (const auto& set : view.all().sets())
      for (const auto name : {metric::first_preferred, metric::same_verdict, metric::any_verdict})
        for (const auto& row : view.of(system, set, name))
          values[{set, metric_code(name)}][row.item].push_back(row.value);
  for (const auto& [place, by_item] : values) {
    std::vector<double> means;
    for (const auto& [item, of_systems] : by_item) means.push_back(mean_figure(of_systems).value);
    figures[{all_systems(), place.first, place.second}] = mean_figure(means);
  }
}

// The system with the seed that its values have: its own, or none where they stand for all.
System measured_by(const View& view, const System& system, const std::string& set, int metric) {
  const auto& all = view.all();
  const auto codes = view.codes(system);
  const auto where = all.find_set(set);
  for (const int32_t code : codes)
    if (where && !all.of(code, *where, metric).empty()) return all.systems()[static_cast<size_t>(code)];
  return codes.empty() ? system : all.systems()[static_cast<size_t>(codes.front())];
}

}  // namespace

Summary::Figures Summary::figures_of(const View& view) {
  Figures figures;
  const auto& rows = view.all().rows();
  std::vector<std::optional<System>> held(view.all().systems().size());
  for (const auto& system : view.systems())
    for (const int32_t code : view.codes(system)) held[static_cast<size_t>(code)] = system;
  for (auto begin = rows.begin(); begin != rows.end();) {
    auto end = begin;
    std::vector<double> values;
    for (; end != rows.end() && end->system == begin->system && end->set == begin->set && end->metric == begin->metric;
         ++end)
      values.push_back(end->value);
    // In the order of codes, in which a seed's own come behind what stands for all.
    if (const auto& system = held[static_cast<size_t>(begin->system)])
      figures[{*system, view.all().sets()[static_cast<size_t>(begin->set)], begin->metric}] =
          figure_of(values, all_metrics()[static_cast<size_t>(begin->metric)].aggregate);
    begin = end;
  }
  add_tofu(view, figures);
  add_shift_tests(view, figures);
  add_ifeval(view, figures);
  add_judges(view, figures);
  add_length_controlled(view, figures);
  return figures;
}

Summary::Summary(const Measurements& measurements) : seeds_(measurements.seeds()) {
  if (seeds_.size() < 2) {
    const View view(measurements, seeds_.empty() ? std::nullopt : std::optional(seeds_.front()),
                    View::Holds::everything);
    figures_ = figures_of(view);
    for (const auto& [place, figure] : figures_) {
      const auto& [system, set, metric] = place;
      rows_.push_back({measured_by(view, system, set, metric), set, metric, figure});
    }
    return;
  }
  std::map<int64_t, Figures> by_seed;
  for (const int64_t seed : seeds_) by_seed[seed] = figures_of(View(measurements, seed));
  combine(by_seed, figures_of(View(measurements, std::nullopt)));
}

void Summary::combine(const std::map<int64_t, Figures>& by_seed, const Figures& fixed) {
  std::map<Place, SeedFigures> places;
  for (const auto& [seed, figures] : by_seed)
    for (const auto& [place, figure] : figures) places[place].emplace_back(seed, figure);
  for (auto& [place, figures] : places) {
    const auto& [system, set, metric] = place;
    const auto once = fixed.find(place);
    const Figure together = seed_figure(figures, once == fixed.end() ? nullptr : &once->second,
                                        all_metrics()[static_cast<size_t>(metric)].over_seeds);
    figures_[place] = together;
    rows_.push_back({system, set, metric, together});
    if (together.by_seed.empty()) continue;
    for (const auto& [seed, figure] : figures) {
      System mine = system;
      mine.seed = seed;
      rows_.push_back({mine, set, metric, figure});
    }
  }
}

const Figure& Summary::of(const System& system, const std::string& set, std::string_view metric) const {
  static const Figure none;
  const auto found = figures_.find({system.without_seed(), set, metric_code(metric)});
  return found == figures_.end() ? none : found->second;
}

bool Summary::measured(const std::string& set, std::string_view metric) const {
  const int code = metric_code(metric);
  return std::ranges::any_of(figures_, [&](const auto& figure) {
    return std::get<1>(figure.first) == set && std::get<2>(figure.first) == code && !std::isnan(figure.second.value);
  });
}

}  // namespace cmc::records
