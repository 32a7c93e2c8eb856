#pragma once
#include <string>
#include <vector>

#include "analysis/record.hpp"
#include "analysis/table.hpp"

namespace cmc::analysis {

// File name and title of one excerpt.
struct Excerpt {
  std::string id, title;
};

// How the paper divides what was measured of the systems: methods side by side, each with its main delta at full
// strength (Tables 1 and 2); deltas of several sizes and trainings (Table 3); variants of fusion and token map
// (Table 4). Strengths are curves (Figure 4).
struct PaperLayout {
  Excerpt methods, deltas, variants;
  std::string main_delta;  // the experiment's first
};

// Excerpts of `all`, a table with one row for each of `systems`, in the paper's layout. They come first and `all`, with
// every strength, follows in files alone; where it holds nothing beyond the first excerpt, it stands by itself.
std::vector<Table> paper_tables(Table all, const std::vector<System>& systems, const PaperLayout& layout);

}  // namespace cmc::analysis
