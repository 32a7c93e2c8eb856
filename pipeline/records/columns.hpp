#pragma once
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/records/fields.hpp"
#include "pipeline/store/unit.hpp"

// A unit's datasets as rows of a struct, whose static columns() lists for each member what the dataset is called and
// means. Members:
//   double, int64_t, int32_t, std::string    a value a row
//   std::vector<T>                           a value a row and place of `about.second`; without one a ragged sequence,
//                                            of int32_t or float
//   std::optional of these                   a column that may be missing: in no row, or, of int32_t alone, in some
//   (−1)
namespace cmc::records {

struct About {
  const char* name;       // of the dataset
  const char* dimension;  // of the rows
  const char* units;
  const char* long_name;
  const char* definition = "";
  const char* second = "";  // the other dimension of a matrix
};

template <class Row, class T>
struct Column {
  T Row::*member;
  About about;
};
template <class Row, class T>
constexpr Column<Row, T> column(T Row::*member, About about) {
  return {member, about};
}

template <class Row>
std::vector<About> columns_of() {
  return std::apply([](const auto&... columns) { return std::vector<About>{columns.about...}; }, Row::columns());
}

// How a unit is named in errors: the file it was read from, or its key.
std::string where_of(const store::Unit& unit);
// Null where the unit has none of this name.
const store::Dataset* find_dataset(const store::Unit& unit, const std::string& name);
const store::Ragged* find_ragged(const store::Unit& unit, const std::string& name);
// Throws BadData naming file, column and remedy.
[[noreturn]] void throw_bad_column(const store::Unit& unit, const About& about, const std::string& what);

namespace detail {

inline constexpr int32_t no_value = -1;

template <class Value>
inline constexpr bool may_be_ragged =
    std::is_same_v<Value, std::vector<int32_t>> || std::is_same_v<Value, std::vector<float>>;

template <class T>
struct Inner {
  using type = T;
};
template <class T>
struct Inner<std::optional<T>> {
  using type = T;
};

// Numbers of any type as T; throws where the dataset holds texts, or T is one and it holds numbers.
template <class T>
std::vector<T> values_as(const store::Unit& unit, const store::Dataset& dataset, const About& about) {
  return std::visit(
      [&]<class Stored>(const std::vector<Stored>& values) -> std::vector<T> {
        if constexpr (std::is_same_v<Stored, std::string> != std::is_same_v<T, std::string>) {
          throw_bad_column(unit, about, "holds values of another type");
        } else if constexpr (std::is_same_v<Stored, T>) {
          return values;
        } else {
          std::vector<T> converted;
          converted.reserve(values.size());
          for (const auto& value : values) converted.push_back(static_cast<T>(value));
          return converted;
        }
      },
      dataset.values);
}

// Whether any row has the column.
template <class Row, class T>
bool is_written(const std::vector<Row>& rows, const Column<Row, T>& column) {
  if constexpr (IsOptional<T>::value) {
    for (const Row& row : rows)
      if (row.*column.member) return true;
    return false;
  }
  return true;
}

template <class Row, class T>
const auto& value_of(const Row& row, const Column<Row, T>& column) {
  if constexpr (IsOptional<T>::value) {
    expect(row.*column.member != std::nullopt, "all rows of a unit have a column, or none");
    return *(row.*column.member);
  } else {
    return row.*column.member;
  }
}

template <class Row, class T>
void write_column(store::Unit& unit, const std::vector<Row>& rows, const Column<Row, T>& column) {
  using Value = typename Inner<T>::type;
  const About& about = column.about;
  if (!is_written(rows, column)) return;
  const auto count = static_cast<int64_t>(rows.size());
  const auto add = [&](std::vector<std::string> dimensions, std::vector<int64_t> shape, store::Values values) {
    unit.datasets.push_back({about.name, std::move(dimensions), std::move(shape), std::move(values), about.units,
                             about.long_name, about.definition});
  };
  if constexpr (!IsVector<Value>::value) {
    std::vector<Value> values;
    for (const Row& row : rows) {
      if constexpr (std::is_same_v<T, std::optional<int32_t>>)
        values.push_back((row.*column.member).value_or(no_value));
      else
        values.push_back(value_of(row, column));
    }
    add({about.dimension}, {count}, std::move(values));
  } else if (*about.second != '\0') {
    const size_t width = rows.empty() ? 0 : value_of(rows.front(), column).size();
    Value values;
    for (const Row& row : rows) {
      expect(value_of(row, column).size() == width, "a matrix has rows of one width");
      values.insert(values.end(), value_of(row, column).begin(), value_of(row, column).end());
    }
    add({about.dimension, about.second}, {count, static_cast<int64_t>(width)}, std::move(values));
  } else if constexpr (may_be_ragged<Value>) {
    Value values;
    store::Ragged ragged{about.name, about.dimension, {}, {0}, about.units, about.long_name};
    for (const Row& row : rows) {
      values.insert(values.end(), value_of(row, column).begin(), value_of(row, column).end());
      ragged.offsets.push_back(static_cast<int64_t>(values.size()));
    }
    ragged.values = std::move(values);
    unit.ragged.push_back(std::move(ragged));
  }
}

template <class Row>
void check_rows(const store::Unit& unit, const std::vector<Row>& rows, int64_t count, const About& about) {
  if (count != static_cast<int64_t>(rows.size()))
    throw_bad_column(unit, about, "has " + std::to_string(count) + " rows, others have " + std::to_string(rows.size()));
}

template <class Row, class T>
void read_column(const store::Unit& unit, std::vector<Row>& rows, const Column<Row, T>& column) {
  using Value = typename Inner<T>::type;
  const About& about = column.about;
  const auto* ragged = may_be_ragged<Value> && *about.second == '\0' ? find_ragged(unit, about.name) : nullptr;
  const auto* dataset = ragged ? nullptr : find_dataset(unit, about.name);
  if (!ragged && !dataset) {
    if (IsOptional<T>::value) return;
    throw_bad_column(unit, about, "is missing");
  }
  if constexpr (IsVector<Value>::value) {
    if constexpr (may_be_ragged<Value>) {
      if (ragged) {
        const auto* values = std::get_if<Value>(&ragged->values);
        if (!values) throw_bad_column(unit, about, "holds values of another type");
        check_rows(unit, rows, static_cast<int64_t>(ragged->offsets.size()) - 1, about);
        for (size_t i = 0; i < rows.size(); ++i)
          rows[i].*column.member =
              Value(values->begin() + ragged->offsets[i], values->begin() + ragged->offsets[i + 1]);
        return;
      }
    }
    if (dataset->shape.size() != 2) throw_bad_column(unit, about, "is no matrix");
    check_rows(unit, rows, dataset->shape[0], about);
    const auto values = values_as<typename Value::value_type>(unit, *dataset, about);
    const auto width = dataset->shape[1];
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto from = values.begin() + static_cast<int64_t>(i) * width;
      rows[i].*column.member = Value(from, from + width);
    }
  } else {
    const auto values = values_as<Value>(unit, *dataset, about);
    check_rows(unit, rows, static_cast<int64_t>(values.size()), about);
    for (size_t i = 0; i < rows.size(); ++i) {
      if constexpr (std::is_same_v<T, std::optional<int32_t>>) {
        if (values[i] == no_value) continue;
      }
      rows[i].*column.member = values[i];
    }
  }
}

// Rows that the unit has along the dimension of the first column.
template <class Row>
size_t row_count(const store::Unit& unit) {
  const About first = std::get<0>(Row::columns()).about;
  const auto* dataset = find_dataset(unit, first.name);
  if (!dataset) throw_bad_column(unit, first, "is missing");
  return dataset->shape.empty() ? 0 : static_cast<size_t>(dataset->shape.front());
}

}  // namespace detail

// Whether the unit holds such rows: it has their first column.
template <class Row>
bool has_rows(const store::Unit& unit) {
  return find_dataset(unit, std::get<0>(Row::columns()).about.name) != nullptr;
}

template <class Row>
void write_rows(store::Unit& unit, const std::vector<Row>& rows) {
  std::apply([&](const auto&... columns) { (detail::write_column(unit, rows, columns), ...); }, Row::columns());
}

// Throws BadData naming the file and the column that is missing, of another type or length.
template <class Row>
std::vector<Row> read_rows(const store::Unit& unit) {
  std::vector<Row> rows(detail::row_count<Row>(unit));
  std::apply([&](const auto&... columns) { (detail::read_column(unit, rows, columns), ...); }, Row::columns());
  return rows;
}

}  // namespace cmc::records
