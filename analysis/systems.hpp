#pragma once
#include <vector>

#include "analysis/table.hpp"
#include "pipeline/records/metric.hpp"
#include "pipeline/records/system.hpp"

namespace cmc::analysis {

// Target | Method | Delta | α as the first columns of a table, and a row's cells for them.
std::vector<Column> system_columns();
std::vector<Cell> system_cells(const records::System& system);

// A metric as a column: its title, digits and direction (`set`: TOFU's forget set has its own).
Column metric_column(const records::Metric& metric, const std::string& group = "", bool on_forget = false);

}  // namespace cmc::analysis
