#include "pipeline/store/table.hpp"

#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/store/dimension_scales.hpp"
#include "pipeline/store/hdf5_dataset.hpp"
#include "pipeline/store/schema.hpp"

namespace cmc::store {
namespace {

int64_t length_of(const Values& values) {
  return std::visit([](const auto& list) { return static_cast<int64_t>(list.size()); }, values);
}

void describe(const Object& dataset, const TableColumn& column) {
  write_attribute(dataset, schema::units, column.units);
  write_attribute(dataset, schema::long_name, column.long_name);
  if (!column.definition.empty()) write_attribute(dataset, schema::definition, column.definition);
  if (!column.refers_to.empty()) write_attribute(dataset, schema::refers_to, column.refers_to);
}

}  // namespace

int64_t Table::rows() const {
  return columns.empty() ? 0 : length_of(columns.front().values);
}

void write_table(const Object& parent, const Table& table) {
  const Object group = create_group(parent, table.name);
  const int64_t rows = table.rows();
  DimensionScales scales;
  std::vector<int64_t> counts(static_cast<size_t>(rows));
  std::iota(counts.begin(), counts.end(), 0);
  Object index = write_values(group, table.dimension, {rows}, counts);
  describe(index, {table.dimension, {}, "1", "index along " + table.dimension});
  write_attribute(index, schema::role, schema::role_index);
  scales.add_scale(table.dimension, std::move(index));
  for (const TableColumn& column : table.columns) {
    expect(length_of(column.values) == rows, "columns of a table have one length");
    const Object dataset = write_values(group, column.name, {rows}, column.values);
    describe(dataset, column);
    scales.attach(dataset, {table.dimension});
  }
  scales.finish();
}

Table read_table(const Object& parent, const std::string& name) {
  const Object group = open_group(parent, name);
  Table table{name, {}, {}};
  for (const Link& link : links(group)) {
    if (link.kind != Kind::dataset)
      throw BadData({child_where(group, link.name), "is not a dataset", "this file was not written by cmc"});
    const Object dataset = open_dataset(group, link.name);
    if (has_attribute(dataset, schema::role)) {
      table.dimension = link.name;
      continue;
    }
    table.columns.push_back({link.name, read_values(dataset), read_text_attribute(dataset, schema::units),
                             read_text_attribute(dataset, schema::long_name)});
    if (length_of(table.columns.back().values) != table.rows())
      throw BadData(
          {dataset.where, "has another length than " + table.columns.front().name, "merge it again from the units"});
  }
  return table;
}

const TableColumn* find_column(const Table& table, const std::string& name) {
  for (const auto& column : table.columns)
    if (column.name == name) return &column;
  return nullptr;
}

}  // namespace cmc::store
