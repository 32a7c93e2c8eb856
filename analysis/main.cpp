// cmc-report: results.h5 → tables, figures and one page.
#include <iostream>

#include "analysis/compare.hpp"
#include "analysis/report.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"

namespace {
using namespace cmc;
using namespace cmc::analysis;

constexpr char usage[] =
    "usage: cmc-report DIR [--output FOLDER] [--all]\n"
    "       cmc-report compare A B [--output FOLDER]\n"
    "DIR, A and B are output folders of cmc run, or results.h5 files.\n"
    "DIR is reported into FOLDER (DIR/report unless given): index.html, tables/*.{md,tex,csv}, "
    "figures/*.{svg,pdf,png};\n"
    "the findings and the main tables' first columns are printed too, with --all everything. compare prints two runs "
    "side by side (and writes compare.{md,tex,csv} "
    "into FOLDER).\n";

struct Arguments {
  std::vector<std::string> positional;
  std::filesystem::path output;
  bool help = false, all = false;
};

Arguments parse(int argc, char** argv) {
  Arguments given;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help" || word == "-h") {
      given.help = true;
    } else if (word == "--output") {
      if (++i == argc) throw Usage({"--output", "needs a folder", "cmc-report DIR --output FOLDER"});
      given.output = argv[i];
    } else if (word.starts_with("--output=")) {
      given.output = word.substr(9);
    } else if (word == "--all") {
      given.all = true;
    } else if (word.starts_with('-')) {
      throw Usage({word, "is not an option", "known: --output FOLDER, --all, --help"});
    } else {
      given.positional.push_back(word);
    }
  }
  return given;
}

void compare(const Arguments& given) {
  if (given.all) throw Usage({"--all", "has no effect on compare", "leave it out"});
  if (given.positional.size() != 3) throw Usage({"compare", "needs two results", "cmc-report compare A B"});
  const Source a = load_results(given.positional[1]), b = load_results(given.positional[2]);
  const Record first(a.results, a.plan), second(b.results, b.plan);
  const Table table = compare_results(first, second);
  std::cout << to_text(table);
  const auto differences = experiment_differences(first, second);
  std::cout << (differences.empty() ? "\nThe experiments are the same.\n" : "\nThe experiments differ (- A, + B):\n");
  for (const auto& line : differences) std::cout << line << "\n";
  if (given.output.empty()) return;
  publish_file(given.output / "compare.md", to_markdown(table));
  publish_file(given.output / "compare.tex", to_latex(table));
  publish_file(given.output / "compare.csv", to_csv(table));
}

void report(const Arguments& given) {
  if (given.positional.size() != 1)
    throw Usage({"cmc-report", "needs one output folder", "cmc-report DIR; cmc-report --help"});
  const std::filesystem::path input = given.positional.front();
  const auto beside = std::filesystem::is_directory(input) ? input : input.parent_path();
  const auto folder = given.output.empty() ? beside / "report" : given.output;
  const Print print = given.all ? Print::all : Print::first_look;
  for (const auto& remark : write_report(load_results(input), folder, print, std::cout)) std::cerr << remark << "\n";
  std::cerr << "written: " << (folder / "index.html").string()
            << (given.all ? "" : ", with every table and figure (--all prints the tables)") << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments given = parse(argc, argv);
    if (given.help) {
      std::cout << usage;
      return 0;
    }
    if (!given.positional.empty() && given.positional.front() == "compare")
      compare(given);
    else
      report(given);
    return 0;
  } catch (const Error& error) {
    std::cerr << "cmc-report: " << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "cmc-report: " << error.what() << "\n";
    return static_cast<int>(ExitCode::internal);
  }
}
