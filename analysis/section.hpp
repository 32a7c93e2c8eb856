#pragma once
#include <string>
#include <utility>
#include <vector>

#include "analysis/plot.hpp"
#include "analysis/table.hpp"
#include "pipeline/store/results.hpp"

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

// Each in table_<name>.cpp, of one seed; units of other stages are passed over, missing ones become dashes.
Section instruct_section(const store::Results& results);
Section judge_section(const store::Results& results);
Section tofu_section(const store::Results& results);
Section similarity_section(const store::Results& results);
Section token_map_section(const store::Results& results);
Section training_section(const store::Results& results);
Section adaptation_section(const store::Results& results);
Section cost_section(const store::Results& results);  // of all seeds

// All of them that have something to show, over all seeds, in the order of the page.
std::vector<Section> all_sections(const store::Results& results);

}  // namespace cmc::analysis
