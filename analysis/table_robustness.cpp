// Whether what was unlearned comes back: TOFU's forget and retain sets under each stress test.
#include <map>

#include "analysis/section.hpp"
#include "analysis/stress_tests.hpp"
#include "analysis/systems.hpp"
#include "analysis/tofu_sets.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

const std::string stage = "robustness";

struct Shown {
  metrics::TofuSet set;
  std::string title;
  std::string_view metric;
  std::string name() const { return std::string(metrics::name_of(set)); }
};

const std::vector<Shown>& shown_figures() {
  using metrics::TofuSet;
  static const std::vector<Shown> list = {{TofuSet::forget, "Forget", metric::rouge_l},
                                          {TofuSet::forget, "Forget", metric::probability},
                                          {TofuSet::forget, "Forget", metric::extraction_strength},
                                          {TofuSet::retain, "Retain", metric::rouge_l},
                                          {TofuSet::retain, "Retain", metric::probability}};
  return list;
}

// What each tested system was put to, in the order of the tests.
using Tested = std::map<System, std::vector<records::Stress>>;
Tested tested(const Record& record) {
  Tested tests;
  for (const auto& stress : stress_tests(record))
    for (const System& system : record.systems(stage, records::stressed_set("forget", stress)))
      tests[system].push_back(stress);
  return tests;
}

// A row of a system asked as usual, or under a test.
std::vector<Cell> row_of(const Record& record, const System& system, const std::optional<records::Stress>& stress) {
  const auto set_of = [&](const std::string& set) { return stress ? records::stressed_set(set, *stress) : set; };
  auto row = system_cells(system);
  row.emplace_back(stress ? describe(*stress) : "as usual");
  row.emplace_back(Counts{{record.items(system, set_of("forget")), record.items(system, set_of("retain"))}});
  for (const auto& shown : shown_figures()) row.emplace_back(record.figure(system, set_of(shown.name()), shown.metric));
  return row;
}

Table robustness_table(const Record& record, const Tested& tested) {
  Table table{"robustness", "What was unlearned, under stress tests", system_columns(), {}, {}};
  table.columns.push_back({"Test"});
  table.key_columns = table.columns.size();
  table.columns.push_back({"n"});
  for (const auto& shown : shown_figures()) {
    const bool is_forgotten = shown.set == metrics::TofuSet::forget;
    if (shown.metric == metric::probability) table.first.push_back(table.columns.size());
    table.columns.push_back(metric_column(records::metric_named(shown.metric), shown.title, is_forgotten));
  }
  for (const auto& [system, tests] : tested) {
    table.rows.push_back(row_of(record, system, std::nullopt));
    for (const auto& stress : tests) table.rows.push_back(row_of(record, system, stress));
  }
  table.errors =
      record.has_seeds() ? errors_over_seeds(record) : "Means over n items ± standard error; – was not measured.";
  table.notes = {
      "n: items of Forget/Retain. int8, int4: the linear layers of base and delta rounded to integers of so many bits, "
      "symmetric, a scale a row. paraphrase: asked by the paraphrased questions. prefix: the answer begins with a text "
      "that promises it. relearn N: adapters of the base, trained for N epochs on every second item of the forget set "
      "beside the frozen delta; Forget is then the other items. A delta of another vocabulary is not relearned: no "
      "gradient passes a token map.",
      "vanilla and retain_only show what a test does to a target that has not unlearned, and to one that never knew. "
      "Without its delta a steered target is vanilla: the delta forgets, the weights do not."};
  return table;
}

}  // namespace

Section robustness_section(const Record& record) {
  Section section{
      "robustness",
      "Unlearning under stress",
      "Does what was unlearned come back when the steered model is compressed, asked in other words, led on, "
      "or trained on part of it again?",
      {},
      {}};
  if (const auto tests = tested(record); !tests.empty()) section.tables = {robustness_table(record, tests)};
  return section;
}

}  // namespace cmc::analysis
