// Tables on a terminal.
#include <algorithm>

#include "analysis/table.hpp"
#include "analysis/table_layout.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::analysis {
namespace {

std::string padded(const std::string& text, size_t width, bool left) {
  const size_t length = count_code_points(text);
  const std::string space(width > length ? width - length : 0, ' ');
  return left ? text + space : space + text;
}

// Width of each column; a group's name may be wider than its columns.
std::vector<size_t> text_widths(const Table& table) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    size_t width = count_code_points(show_header(table.columns[c]));
    for (const auto& row : table.rows) width = std::max(width, count_code_points(show(row[c], table.columns[c])));
    widths.push_back(width);
  }
  for (const ColumnRun& run : group_runs(table)) {
    size_t width = 2 * (run.end - run.first - 1);
    for (size_t c = run.first; c < run.end; ++c) width += widths[c];
    const size_t needed = count_code_points(run.group);
    if (needed > width) widths[run.first] += needed - width;
  }
  return widths;
}

// Column indices of each block, at most `most` wide: the leading text columns, then as many groups as fit.
std::vector<std::vector<size_t>> text_blocks(const Table& table, const std::vector<size_t>& widths, size_t most) {
  std::vector<size_t> lead;
  size_t lead_width = 0;
  while (lead.size() < table.columns.size() && is_text_column(table, lead.size()) &&
         table.columns[lead.size()].group.empty()) {
    lead_width += widths[lead.size()] + 2;
    lead.push_back(lead.size());
  }
  std::vector<std::vector<size_t>> blocks{lead};
  size_t used = lead_width;
  for (const ColumnRun& run : group_runs(table)) {
    const size_t first = std::max(run.first, lead.size());
    for (size_t c = first; c < run.end; ++c) {
      // A named group stays together, columns without a group may part anywhere.
      size_t needed = widths[c] + 2;
      if (!run.group.empty() && c == first)
        for (size_t next = c + 1; next < run.end; ++next) needed += widths[next] + 2;
      const bool may_part = run.group.empty() || c == first;
      if (may_part && used + needed > most + 2 && blocks.back().size() > lead.size()) {
        blocks.push_back(lead);
        used = lead_width;
      }
      blocks.back().push_back(c);
      used += widths[c] + 2;
    }
  }
  return blocks;
}

Table columns_of(const Table& table, const std::vector<size_t>& chosen) {
  Table part;
  for (const size_t c : chosen) part.columns.push_back(table.columns[c]);
  for (const auto& row : table.rows) {
    auto& cells = part.rows.emplace_back();
    for (const size_t c : chosen) cells.push_back(row[c]);
  }
  return part;
}

std::string text_block(const Table& table) {
  const auto widths = text_widths(table);
  std::string groups, headers, rule, out;
  for (const ColumnRun& run : group_runs(table)) {
    size_t width = 2 * (run.end - run.first - 1);
    for (size_t c = run.first; c < run.end; ++c) width += widths[c];
    groups += padded(run.group, width, true) + "  ";
  }
  for (size_t c = 0; c < widths.size(); ++c) {
    headers += padded(show_header(table.columns[c]), widths[c], is_text_column(table, c)) + "  ";
    rule += std::string(widths[c], '-') + "  ";
  }
  out = (has_groups(table) ? groups + "\n" : "") + headers + "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < widths.size(); ++c)
      out += padded(show(row[c], table.columns[c]), widths[c], is_text_column(table, c)) + "  ";
    out += "\n";
  }
  return out;
}

std::string without_blank_ends(const std::string& lines) {
  std::string trimmed;
  for (const char c : lines) {
    if (c == '\n') trimmed.erase(trimmed.find_last_not_of(' ') + 1);
    trimmed += c;
  }
  return trimmed;
}

}  // namespace

std::string wrapped(const std::string& note, size_t width) {
  std::string out = " ";
  size_t used = 1;
  for (size_t at = 0; at < note.size();) {
    const size_t end = std::min(note.find(' ', at), note.size());
    const std::string word = note.substr(at, end - at);
    if (used + 1 + count_code_points(word) > width) {
      out += "\n   ";
      used = 3;
    }
    out += " " + word;
    used += 1 + count_code_points(word);
    at = end + 1;
  }
  return out + "\n";
}

std::string to_text(const Table& table, size_t width) {
  const auto blocks = text_blocks(table, text_widths(table), width);
  std::string out = table.title + "\n";
  for (size_t i = 0; i < blocks.size(); ++i) out += (i ? "\n" : "") + text_block(columns_of(table, blocks[i]));
  for (const std::string& note : all_notes(table)) out += wrapped(note, width);
  return without_blank_ends(out);
}

std::string first_columns(const Table& table, size_t width) {
  std::vector<size_t> chosen = text_blocks(table, text_widths(table), width).front();
  if (!table.first.empty()) {
    std::erase_if(chosen, [&](size_t c) { return !is_text_column(table, c); });
    chosen.insert(chosen.end(), table.first.begin(), table.first.end());
  }
  std::string out = table.title + "\n" + text_block(columns_of(table, chosen));
  if (!table.errors.empty()) out += wrapped(table.errors, width);
  return without_blank_ends(out);
}

}  // namespace cmc::analysis
