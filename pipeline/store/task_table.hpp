#pragma once
#include <string>
#include <vector>

#include "pipeline/store/hdf5_file.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// One row per unit of results.h5: /tasks, columns along the dimension `task`. A number that was not recorded is NaN.
class TaskTable {
 public:
  void add(const Unit& unit, const std::string& group);
  void write(const Object& group) const;

 private:
  struct Row {
    std::string key, stage, name, target, method, delta, host, group;
    double alpha, wall_seconds, device_seconds, tokens, flops, peak_bytes;
  };
  std::vector<Row> rows_;
};

}  // namespace cmc::store
