#include "analysis/section.hpp"

namespace cmc::analysis {

std::vector<Section> all_sections(const store::Results& results) {
  std::vector<Section> sections;
  for (const auto make : {instruct_section, tofu_section, token_map_section, training_section, cost_section}) {
    Section section = make(results);
    if (!section.tables.empty()) sections.push_back(std::move(section));
  }
  return sections;
}

}  // namespace cmc::analysis
