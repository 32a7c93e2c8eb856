#include "analysis/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "analysis/joined_text.hpp"

namespace cmc::analysis {
namespace {

constexpr char dash[] = "–";

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string show_figure(const Figure& figure, int digits) {
  const double error = figure.by_seed.empty() ? figure.standard_error : figure.seed_deviation;
  std::string text = std::isnan(figure.value) ? dash : fixed(figure.value, digits);
  if (!std::isnan(figure.value) && !std::isnan(error)) text += " ± " + fixed(error, digits);
  if (!std::isnan(figure.paper)) text += " [paper " + fixed(figure.paper, digits) + "]";
  return text;
}

std::string show_counts(const Counts& counts) {
  std::vector<std::string> parts;
  for (const int64_t n : counts.n) parts.push_back(n > 0 ? std::to_string(n) : dash);
  return joined(parts, "/");
}

}  // namespace

std::vector<std::string> all_notes(const Table& table) {
  std::vector<std::string> notes;
  if (!table.errors.empty()) notes.push_back(table.errors);
  notes.insert(notes.end(), table.notes.begin(), table.notes.end());
  return notes;
}

void sort_by_texts(Table& table) {
  const auto key = [&](const std::vector<Cell>& row) {
    std::vector<std::string> texts;
    for (size_t c = 0; c < table.key_columns && c < row.size(); ++c) texts.push_back(show(row[c], {}));
    return texts;
  };
  std::ranges::stable_sort(table.rows, {}, key);
}

bool is_text_column(const Table& table, size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
    const auto* counts = std::get_if<Counts>(&row[column]);
    return counts ? counts->n.size() > 1 : std::holds_alternative<std::string>(row[column]);
  });
}

std::string arrow(const Column& column) {
  return column.better == "higher" ? " ↑" : column.better == "lower" ? " ↓" : "";
}

std::string show_header(const Column& column) {
  return column.header + arrow(column);
}

std::string show(const Cell& cell, const Column& column) {
  if (const auto* text = std::get_if<std::string>(&cell)) return text->empty() ? dash : *text;
  if (const auto* counts = std::get_if<Counts>(&cell)) return show_counts(*counts);
  const auto& figure = std::get<Figure>(cell);
  const bool p_value = column.over_seeds == OverSeeds::largest;
  return p_value && figure.value < 0.001 ? "< 0.001" : show_figure(figure, column.digits);
}

std::string full_header(const Column& column) {
  return (column.group.empty() ? "" : column.group + " ") + column.header + arrow(column);
}

}  // namespace cmc::analysis
