#include "analysis/section.hpp"

#include <map>

namespace cmc::analysis {
namespace {

// Figures that share an id are numbered, from 1 in the order of the page.
template <class Figures>
void number(Figures& figures) {
  std::map<std::string, int> count, seen;
  for (const auto& figure : figures) ++count[figure.id];
  for (auto& figure : figures) {
    const std::string id = figure.id;
    if (count[id] > 1) figure.id += "_" + std::to_string(++seen[id]);
  }
}

}  // namespace

std::vector<Drawing> drawings_of(const Section& section) {
  std::vector<Drawing> drawings;
  for (const Plot& plot : section.plots) drawings.push_back(drawing_of(plot));
  for (const Heatmap& heatmap : section.heatmaps) drawings.push_back(drawing_of(heatmap));
  return drawings;
}

std::string first_seed(const Record& record) {
  return record.has_seeds() ? "Seed " + std::to_string(record.seeds().front()) + ": " : "";
}

std::vector<Section> all_sections(const Record& record) {
  std::vector<Section> sections;
  const auto add = [&](Section section) {
    number(section.plots);
    number(section.heatmaps);
    if (!section.tables.empty()) sections.push_back(std::move(section));
  };
  for (const auto make :
       {instruct_section, likelihood_section, ifeval_section, judge_section, tofu_section, audit_section,
        robustness_section, similarity_section, token_map_section, training_section, adaptation_section, cost_section})
    add(make(record));
  return sections;
}

}  // namespace cmc::analysis
