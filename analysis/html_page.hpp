#pragma once
#include <map>
#include <string>
#include <vector>

#include "analysis/findings.hpp"
#include "analysis/overview.hpp"
#include "analysis/section.hpp"

namespace cmc::analysis {

struct Page {
  store::ResultsHeader header;
  size_t units = 0;
  std::vector<std::string> remarks;  // shown at the top: what is missing or went wrong
  Overview overview;
  std::vector<Finding> findings;
  std::vector<Section> sections;
  std::map<std::string, std::string> drawings;  // plot id → SVG; a plot without one is left out
};

// One self-contained page: nothing loaded from elsewhere, readable without scripts, on narrow screens and in the dark.
std::string to_html(const Page& page);

std::string html_escape(const std::string& text);

}  // namespace cmc::analysis
