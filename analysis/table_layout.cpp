#include "analysis/table_layout.hpp"

#include <algorithm>

namespace cmc::analysis {

std::vector<ColumnRun> group_runs(const Table& table) {
  std::vector<ColumnRun> runs;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (!runs.empty() && runs.back().group == table.columns[c].group)
      runs.back().end = c + 1;
    else
      runs.push_back({c, c + 1, table.columns[c].group});
  }
  return runs;
}

bool has_groups(const Table& table) {
  return std::any_of(table.columns.begin(), table.columns.end(), [](const Column& c) { return !c.group.empty(); });
}

}  // namespace cmc::analysis
