#pragma once
#include <string>
#include <vector>

#include "analysis/joined_text.hpp"
#include "analysis/table.hpp"

// What the formats of a table share.
namespace cmc::analysis {

// Columns side by side with one group: [first, end).
struct ColumnRun {
  size_t first, end;
  std::string group;
};
std::vector<ColumnRun> group_runs(const Table& table);
bool has_groups(const Table& table);

}  // namespace cmc::analysis
