// Win rates by a judge model (paper, Table 1 layout; the paper's judge is GPT-4).
#include <set>

#include "analysis/paper_tables.hpp"
#include "analysis/record.hpp"
#include "analysis/section.hpp"
#include "analysis/strength_plot.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

const std::string stage = "judge";

// Who judged responses, and what they were compared with: whose outputs the baseline's are, "vanilla" the target's
// alone.
struct Judge {
  std::string model, baseline;
  auto operator<=>(const Judge&) const = default;
  std::string set() const { return records::judged_set(model, baseline); }
};

// Those that judged, and those that are to.
std::set<Judge> judges_of(const Record& record) {
  std::set<Judge> judges;
  const std::string by = "judged by ", against = " against ";
  const auto take = [&](const std::string& set) {
    if (!set.starts_with(by)) return;
    const size_t middle = set.rfind(against);
    judges.insert({set.substr(by.size(), middle - by.size()), set.substr(middle + against.size())});
  };
  for (const auto& set : record.measurements().sets()) take(set);
  for (const auto& task : record.plan()) take(task.labels.set);
  return judges;
}

std::string opponent(const Judge& judge) {
  if (judge.baseline == name_of(records::Against::vanilla)) return "what the target answers alone (vanilla)";
  return "the data file's outputs" +
         (judge.baseline == name_of(records::Against::reference) ? "" : " (" + judge.baseline + ")");
}

Table win_rates(const Judge& judge, const Record& record, const std::vector<System>& systems) {
  Table table{"win_rates", "Win rates, judged by " + judge.model, system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  table.columns.push_back({"n", "", 0});
  const auto shown = {metric::win_rate, metric::win_probability, metric::length_controlled, metric::same_verdict};
  for (const auto name : shown) table.columns.push_back(metric_column(records::metric_named(name)));
  for (const System& system : systems) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{record.figure(system, judge.set(), metric::win_rate).n}});
    for (const auto name : shown) row.emplace_back(record.figure(system, judge.set(), name));
    table.rows.push_back(std::move(row));
  }
  table.errors = record.has_seeds()
                     ? errors_over_seeds(record)
                     : "Figures are means over the n judged prompts ± standard error; – was not measured.";
  table.notes = {
      "The judge, " + judge.model + ", reads the instruction and two outputs, the system's and " + opponent(judge) +
          ", in both orders, and says which is better, A or B. Its verdict is the "
          "likelihood of A against B, mean of both orders, so that its bias to position cancels.",
      "Win rate: prompts whose response is the likelier winner, a tie counts half. Probability: mean "
      "likelihood that the response wins, alpaca_eval's weighted win rate. LC win rate: the same as a "
      "regression on the difference of lengths predicts it for equal ones (AlpacaEval 2's length control "
      "without difficulties of instructions and gamed baselines: its minimal form). Same verdict: prompts on "
      "which both orders agree.",
      "The paper's Table 1 gives win rates judged by GPT-4 over text-davinci-003; another judge's do not "
      "compare with them."};
  return table;
}

Table bias_table(const Judge& judge, const Record& record) {
  Table table{"judge",
              "The judge",
              {{"Judge"},
               {"Against"},
               {"n", "", 0},
               {"First preferred, %", "", 1},
               {"Same verdict, %", "", 1, "higher"},
               {"Any verdict, %", "", 1, "higher"}},
              {},
              {}};
  table.key_columns = 2;
  const auto of_all = [&](std::string_view name) { return record.figure(records::all_systems(), judge.set(), name); };
  table.rows = {{judge.model, judge.baseline, Counts{{of_all(metric::first_preferred).n}},
                 of_all(metric::first_preferred), of_all(metric::same_verdict), of_all(metric::any_verdict)}};
  table.errors =
      record.has_seeds()
          ? errors_over_seeds(record)
          : "Figures are means over n prompts (of each: over all systems) ± standard error; – was not measured.";
  table.notes = {
      "First preferred: how likely the judge prefers the output it reads first, whichever that is; 50 is a "
      "judge without bias to position. Same verdict: comparisons on which both orders agree. Any verdict: "
      "how likely it says A or B at all."};
  return table;
}

PaperLayout layout_of(const Judge& judge, const Record& record) {
  const std::string by = ", judged by " + judge.model;
  return {{"win_rates_methods", "Win rates of the methods" + by},
          {"win_rates_deltas", "Win rates of the deltas" + by},
          {"win_rates_variants", "Win rates of variants of fusion and token map" + by},
          main_delta(record, "instruct")};
}

std::vector<Plot> over_strength(const Judge& judge, const Record& record) {
  return strength_plots(record, stage, judge.set(), metric::win_rate,
                        {"win_rate_strength",
                         "Win rate over strength",
                         "strength α",
                         "win rate, %",
                         "Win rates against " + opponent(judge) + ", judged by " + judge.model + ".",
                         {}});
}

}  // namespace

Section judge_section(const Record& record) {
  Section section{
      "judge",
      "Win rates by a local judge",
      "A language model compares each response with a baseline's, in both orders. How far to trust it, the table of "
      "the judge tells: a weak one prefers a place rather than a response.",
      {},
      {}};
  int judges = 0;
  for (const Judge& judge : judges_of(record)) {
    const std::string number = ++judges == 1 ? "" : "_" + std::to_string(judges);
    auto systems = record.systems(stage, judge.set());
    std::erase(systems, records::all_systems());
    auto tables = paper_tables(win_rates(judge, record, systems), systems, layout_of(judge, record));
    tables.push_back(bias_table(judge, record));
    for (Table& table : tables) {
      table.id += number;
      section.tables.push_back(std::move(table));
    }
    for (Plot& plot : over_strength(judge, record)) section.plots.push_back(std::move(plot));
  }
  return section;
}

}  // namespace cmc::analysis
