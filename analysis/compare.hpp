#pragma once
#include <string>
#include <vector>

#include "analysis/record.hpp"
#include "analysis/table.hpp"

namespace cmc::analysis {

// Two runs side by side: for every system and metric both have, the means over the items both measured, the difference
// with its paired bootstrap interval, and a p-value. Systems that only one has are named in a note.
Table compare_results(const Record& a, const Record& b);

// Lines of the two resolved experiment files that differ: "- …" only in A, "+ …" only in B.
std::vector<std::string> experiment_differences(const Record& a, const Record& b);

}  // namespace cmc::analysis
