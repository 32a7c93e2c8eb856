#pragma once
#include <string>
#include <utility>
#include <vector>

#include "analysis/plot.hpp"
#include "analysis/record.hpp"
#include "analysis/table.hpp"

namespace cmc::analysis {

// Texts side by side, for the page only: a prompt and what each system answered.
struct Example {
  std::string title;
  std::vector<std::pair<std::string, std::string>> texts;  // label, text
};

// One topic of the report. A section without tables is left out.
struct Section {
  std::string id, title, introduction;
  std::vector<Table> tables;
  std::vector<Plot> plots;
  std::vector<Example> examples = {};
  std::vector<Heatmap> heatmaps = {};
};

// Its figures ready for gnuplot, plots first.
std::vector<Drawing> drawings_of(const Section& section);

// "Seed 3: " before what is of the first of several seeds; else "".
std::string first_seed(const Record& record);

// Each in table_<name>.cpp; what was not measured becomes dashes.
Section instruct_section(const Record& record);
Section likelihood_section(const Record& record);
Section ifeval_section(const Record& record);
Section judge_section(const Record& record);
Section tofu_section(const Record& record);
Section audit_section(const Record& record);
Section robustness_section(const Record& record);
Section similarity_section(const Record& record);
Section token_map_section(const Record& record);
Section training_section(const Record& record);
Section adaptation_section(const Record& record);
Section cost_section(const Record& record);  // of all seeds

// All of them that have something to show, in the order of the page.
std::vector<Section> all_sections(const Record& record);

}  // namespace cmc::analysis
