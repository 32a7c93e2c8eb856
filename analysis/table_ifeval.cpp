// IFEval (Zhou et al. 2023): shares of prompts and of instructions that responses follow, and what kinds these are of.
#include <algorithm>
#include <iterator>
#include <set>

#include "analysis/paper_tables.hpp"
#include "analysis/section.hpp"
#include "analysis/systems.hpp"

namespace cmc::analysis {
namespace {

namespace metric = records::metric;

const std::string stage = "ifeval", together(records::ifeval_set);

Column column_of(std::string_view name, const std::string& group, const std::string& header) {
  Column column = metric_column(records::metric_named(name), group);
  column.header = header;
  return column;
}

Table main_table(const Record& record, const std::vector<System>& systems) {
  Table table{"ifeval", "IFEval", system_columns(), {}, {}};
  table.key_columns = table.columns.size();
  table.columns.push_back({"n"});
  table.columns.push_back(column_of(metric::ifeval_prompt_strict, "Prompts", "Strict"));
  table.columns.push_back(column_of(metric::ifeval_prompt_loose, "Prompts", "Loose"));
  table.columns.push_back(column_of(metric::ifeval_instruction_strict, "Instructions", "Strict"));
  table.columns.push_back(column_of(metric::ifeval_instruction_loose, "Instructions", "Loose"));
  table.columns.push_back(metric_column(records::metric_named(metric::ifeval_stopped)));
  for (const System& system : systems) {
    auto row = system_cells(system);
    row.emplace_back(Counts{{record.items(system, together)}});
    for (const auto name :
         {metric::ifeval_prompt_strict, metric::ifeval_prompt_loose, metric::ifeval_instruction_strict,
          metric::ifeval_instruction_loose, metric::ifeval_stopped})
      row.emplace_back(record.figure(system, together, name));
    table.rows.push_back(std::move(row));
  }
  table.errors = record.has_seeds() ? errors_over_seeds(record)
                                    : "Shares over n prompts ± standard error; of instructions that of a ratio whose "
                                      "clusters are prompts; – was not measured.";
  table.notes = {
      "Prompts: share of prompts all of whose instructions the response follows. Instructions: share of all "
      "instructions. Strict: the response as it is; loose: or without its first line, its last line, both, each also "
      "without asterisks.",
      "Ended: responses that ended by themselves within the length limit; what is cut off rarely ends as asked."};
  return table;
}

// The main systems side by side, as the first of the paper's excerpts has them.
std::vector<System> main_systems(const Table& excerpt, const std::vector<System>& systems) {
  const auto names = [&](const std::vector<Cell>& row) {
    std::vector<std::string> texts;
    for (size_t column = 0; column < excerpt.key_columns; ++column) texts.push_back(std::get<std::string>(row[column]));
    return texts;
  };
  std::set<std::vector<std::string>> shown;
  for (const auto& row : excerpt.rows) shown.insert(names(row));
  std::vector<System> kept;
  std::ranges::copy_if(systems, std::back_inserter(kept),
                       [&](const System& system) { return shown.contains(names(system_cells(system))); });
  return kept;
}

// The sets beside that of all instructions.
std::vector<std::string> kinds(const Record& record) {
  std::vector<std::string> ids;
  for (const auto& set : record.measurements().sets())
    if (record.summary().measured(set, metric::ifeval_instruction_strict) && set != together) ids.push_back(set);
  return ids;
}

Table kinds_table(const Record& record, const std::vector<System>& systems) {
  Table table{"ifeval_kinds", "IFEval: instructions followed strictly, by kind", {{"Kind"}, {"n"}}, {}, {}};
  for (const System& system : systems)
    table.columns.push_back(column_of(metric::ifeval_instruction_strict, system.target, describe_addition(system)));
  for (const auto& kind : kinds(record)) {
    std::vector<Cell> row = {kind};
    int64_t prompts = 0;
    for (const System& system : systems) prompts = std::max(prompts, record.items(system, kind));
    row.emplace_back(Counts{{prompts}});
    for (const System& system : systems)
      row.emplace_back(record.figure(system, kind, metric::ifeval_instruction_strict));
    table.rows.push_back(std::move(row));
  }
  table.errors = record.has_seeds() ? errors_over_seeds(record)
                                    : "Shares of the kind's instructions ± standard error, clustered by prompt; n: "
                                      "prompts with one; – was not measured.";
  return table;
}

}  // namespace

Section ifeval_section(const Record& record) {
  Section section{
      "ifeval",
      "Instructions that a program checks (IFEval)",
      "The instruct systems answer IFEval's prompts, and rules check what each prompt asks for: a number of "
      "words, a keyword, a form. No judge is asked.",
      {},
      {}};
  const auto systems = record.systems(stage, together);
  if (systems.empty()) return section;
  section.tables = paper_tables(main_table(record, systems), systems,
                                {{"ifeval_methods", "IFEval of the methods"},
                                 {"ifeval_deltas", "IFEval of the deltas"},
                                 {"ifeval_variants", "IFEval: variants of fusion and token map"},
                                 main_delta(record, "instruct")});
  section.tables.push_back(kinds_table(record, main_systems(section.tables.front(), systems)));
  return section;
}

}  // namespace cmc::analysis
