#include "analysis/report.hpp"

#include <algorithm>
#include <set>

#include "analysis/gnuplot.hpp"
#include "analysis/html_page.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/store/unit_store.hpp"

namespace cmc::analysis {
namespace {
namespace fs = std::filesystem;

// Before the merge: the finished units of a folder, with its experiment and environment where they are.
Source load_units(const fs::path& folder, const std::vector<std::string>& keys) {
  Source source;
  const store::UnitStore units(folder);
  for (const std::string& key : keys) source.results.units.push_back(units.read(key));
  std::stable_sort(source.results.units.begin(), source.results.units.end(),
                   [](const auto& a, const auto& b) { return a.stage < b.stage; });
  source.plan = records::read_plan(folder);
  auto& header = source.results.header;
  header.title = folder.filename().string();
  header.environment = Json::object();
  if (fs::exists(folder / "experiment.ini")) header.experiment = read_file(folder / "experiment.ini");
  if (fs::exists(folder / "environment.json")) header.environment = read_json(folder / "environment.json");
  source.remarks.push_back("There is no results.h5 yet: this shows the " + std::to_string(keys.size()) +
                           " units finished so far.");
  return source;
}

void write_table(const Table& table, const fs::path& folder) {
  publish_file(folder / (table.id + ".md"), to_markdown(table));
  publish_file(folder / (table.id + ".tex"), to_latex(table));
  publish_file(folder / (table.id + ".csv"), to_csv(table));
}

void write_tables(const Page& page, const fs::path& folder) {
  write_table(findings_table(page.findings), folder);
  for (const Section& section : page.sections)
    for (const Table& table : section.tables) write_table(table, folder);
}

std::string print_all(const Page& page) {
  std::string text = to_text(page.findings) + "\n";
  for (const Section& section : page.sections)
    for (const Table& table : section.tables)
      if (table.shown != Table::Shown::folded) text += to_text(table) + "\n";
  return text;
}

std::string first_look(const Page& page) {
  std::string text = summaries(page.findings) + "\n";
  for (const Section& section : page.sections)
    for (const Table& table : section.tables)
      if (table.shown == Table::Shown::first) text += first_columns(table) + "\n";
  return text;
}

// A page that is there already is replaced when a report wrote it.
void expect_ours(const fs::path& page) {
  if (fs::exists(page) && read_file(page).find("content=cmc-report>") == std::string::npos)
    throw Refused({page.string(), "is a page that no report wrote", "give another folder with --output"});
}

}  // namespace

Source load_results(const fs::path& given) {
  if (fs::is_regular_file(given)) return {store::read_results(given), {}, {}};
  if (!fs::is_directory(given))
    throw MissingInput({given.string(), "does not exist", "give the output folder of a run, or its results.h5"});
  const auto keys = store::UnitStore(given).keys();
  if (!fs::exists(given / "results.h5")) {
    if (keys.empty())
      throw MissingInput({given.string(), "holds neither results.h5 nor units", "give the output folder of a run"});
    return load_units(given, keys);
  }
  Source source{store::read_results(given / "results.h5"), {}, {}};
  if (!source.results.plan) source.plan = records::read_plan(given);
  std::set<std::string> merged;
  for (const auto& unit : source.results.units) merged.insert(unit.key);
  size_t others = 0;
  for (const std::string& key : keys) others += !merged.contains(key);
  if (others)
    source.remarks.push_back("The folder holds " + std::to_string(others) +
                             " units that results.h5 does not: newer ones, or of other settings.");
  return source;
}

std::vector<std::string> write_report(const Source& source, const fs::path& folder, Print print, std::ostream& out) {
  expect_ours(folder / "index.html");
  const Record record(source.results, source.plan);
  Page page{source.results.header,
            source.results.units.size(),
            source.remarks,
            overview_of(record),
            find_effects(record),
            all_sections(record),
            {}};
  write_tables(page, folder / "tables");
  std::set<std::string> problems;
  for (const Section& section : page.sections)
    for (const Drawing& drawing : drawings_of(section)) {
      const Drawn drawn = draw(drawing, folder / "figures");
      if (drawn.problem.empty())
        page.drawings[drawing.id] = drawn.svg;
      else
        problems.insert("Figures are left out: " + drawn.problem);
    }
  page.remarks.insert(page.remarks.end(), problems.begin(), problems.end());
  publish_file(folder / "index.html", to_html(page));
  out << (print == Print::all ? print_all(page) : first_look(page));
  return page.remarks;
}

}  // namespace cmc::analysis
