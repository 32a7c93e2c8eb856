#pragma once
#include <functional>
#include <string>
#include <vector>

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

std::string arrow(const Column& column);  // " ↑", " ↓" or ""
std::string joined(const std::vector<std::string>& parts, const std::string& between);
std::string replaced(const std::string& text, const std::function<std::string(char)>& replacement);

}  // namespace cmc::analysis
