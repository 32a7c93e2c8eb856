#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/store/hdf5_file.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// One column of a table, a value a row.
struct TableColumn {
  std::string name;  // lower_snake_case
  Values values;
  std::string units = "1";
  std::string long_name;
  std::string definition = {};
  std::string refers_to = {};  // values are rows of this table ("/systems"); "": they are what they are
};

// A group of results.h5 with columns along one dimension, beside the stages.
struct Table {
  std::string name;       // of the group
  std::string dimension;  // of the rows
  std::vector<TableColumn> columns;
  int64_t rows() const;
};

// Into a new group of `parent`. Throws Internal where columns differ in length.
void write_table(const Object& parent, const Table& table);
// Throws BadData where it is none.
Table read_table(const Object& parent, const std::string& name);

const TableColumn* find_column(const Table& table, const std::string& name);  // null: there is none

}  // namespace cmc::store
