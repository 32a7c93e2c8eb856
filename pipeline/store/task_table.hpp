#pragma once
#include <string>
#include <vector>

#include "pipeline/store/table.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// One row per unit of results.h5: /tasks. Its columns are what the unit is, its labels, and what it cost. A number that
// was not recorded is NaN.
class TaskTable {
 public:
  void add(const Unit& unit, const std::string& group);
  Table table() const;

 private:
  struct Row {
    std::string key, stage, group, host;
    Cost cost;
    std::vector<Label> labels;
  };
  std::vector<Row> rows_;
};

}  // namespace cmc::store
