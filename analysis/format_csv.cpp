// Tables as CSV.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include "analysis/table.hpp"
#include "analysis/table_layout.hpp"

namespace cmc::analysis {
namespace {

std::string exact(double value) {
  if (std::isnan(value)) return "";
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return '"' + replaced(text, [](char c) { return c == '"' ? std::string("\"\"") : std::string(1, c); }) + '"';
}

std::string csv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  const auto& counts = std::get<Counts>(cell);
  const bool none = counts.n.size() == 1 && counts.n.front() == 0;
  return none ? "" : show(cell, {});
}

// One CSV column: something of each figure of a table's column. Texts and counts stand in the first alone.
struct Part {
  size_t column;
  std::string suffix;
  std::function<std::string(const Figure&)> of;
};

double of_seed(const Figure& figure, int64_t seed) {
  for (const auto& [number, value] : figure.by_seed)
    if (number == seed) return value;
  return unknown;
}

// What any figure of the column has, value first.
void add_parts(const Table& table, size_t column, std::vector<Part>& parts) {
  std::vector<const Figure*> figures;
  for (const auto& row : table.rows)
    if (const auto* figure = std::get_if<Figure>(&row[column])) figures.push_back(figure);
  const auto add = [&](const std::string& suffix, const std::function<std::string(const Figure&)>& of) {
    if (std::ranges::any_of(figures, [&](const Figure* figure) { return !of(*figure).empty(); }))
      parts.push_back({column, suffix, of});
  };
  parts.push_back({column, "", [](const Figure& f) { return exact(f.value); }});
  add(" standard error", [](const Figure& f) { return exact(f.standard_error); });
  add(" deviation over seeds", [](const Figure& f) { return exact(f.seed_deviation); });
  add(" n", [](const Figure& f) { return f.n > 0 ? std::to_string(f.n) : ""; });
  add(" paper", [](const Figure& f) { return exact(f.paper); });
  std::set<int64_t> seeds;
  for (const Figure* figure : figures)
    for (const auto& [seed, value] : figure->by_seed) seeds.insert(seed);
  for (const int64_t seed : seeds)
    add(" seed " + std::to_string(seed), [seed](const Figure& f) { return exact(of_seed(f, seed)); });
}

}  // namespace

std::string to_csv(const Table& table) {
  std::vector<Part> parts;
  for (size_t c = 0; c < table.columns.size(); ++c) add_parts(table, c, parts);
  std::vector<std::string> fields;
  for (const Part& part : parts) {
    Column plain = table.columns[part.column];
    plain.better = "";
    fields.push_back(csv_field(full_header(plain) + part.suffix));
  }
  std::string out = joined(fields, ",") + "\n";
  for (const auto& row : table.rows) {
    fields.clear();
    for (const Part& part : parts) {
      const Cell& cell = row[part.column];
      const auto* figure = std::get_if<Figure>(&cell);
      fields.push_back(figure ? part.of(*figure) : part.suffix.empty() ? csv_field(csv_cell(cell)) : "");
    }
    out += joined(fields, ",") + "\n";
  }
  return out;
}

}  // namespace cmc::analysis
