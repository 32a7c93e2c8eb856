#include "analysis/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "pipeline/core/utf8.hpp"

namespace cmc::analysis {
namespace {

constexpr char dash[] = "–";

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string exact(double value) {
  if (std::isnan(value)) return "";
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

std::string arrow(const Column& column) {
  return column.better == "higher" ? " ↑" : column.better == "lower" ? " ↓" : "";
}

std::string padded(const std::string& text, size_t width, bool left) {
  const size_t length = count_code_points(text);
  const std::string space(width > length ? width - length : 0, ' ');
  return left ? text + space : space + text;
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) text += (i ? between : "") + parts[i];
  return text;
}

std::string replaced(const std::string& text, const std::function<std::string(char)>& replacement) {
  std::string out;
  for (const char c : text) out += replacement(c);
  return out;
}

std::string markdown_escape(const std::string& text) {
  return replaced(text, [](char c) -> std::string {
    if (c == '|') return "\\|";
    return c == '\n' ? " " : std::string(1, c);
  });
}

std::string latex_escape(const std::string& text) {
  const std::string escaped = replaced(text, [](char c) -> std::string {
    switch (c) {
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        return std::string("\\") + c;
      case '~':
        return "\\textasciitilde{}";
      case '^':
        return "\\textasciicircum{}";
      case '\\':
        return "\\textbackslash{}";
      case '\n':
        return " ";
      default:
        return std::string(1, c);
    }
  });
  std::string out;
  for (size_t at = 0; at < escaped.size();) {  // letters that pdfLaTeX's fonts lack
    const auto take = [&](std::string_view what, const char* with) {
      if (escaped.compare(at, what.size(), what) != 0) return false;
      out += with;
      at += what.size();
      return true;
    };
    if (take("±", "$\\pm$") || take("–", "--") || take("α", "$\\alpha$") || take("↑", "$\\uparrow$") ||
        take("↓", "$\\downarrow$") || take("→", "$\\to$") || take("−", "$-$") || take("Δ", "$\\Delta$"))
      continue;
    out += escaped[at++];
  }
  return out;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return '"' + replaced(text, [](char c) { return c == '"' ? std::string("\"\"") : std::string(1, c); }) + '"';
}

// Runs of columns with one group: [first, end).
struct Run {
  size_t first, end;
  std::string group;
};
std::vector<Run> group_runs(const Table& table) {
  std::vector<Run> runs;
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

// Width of each column; a group's name may be wider than its columns.
std::vector<size_t> text_widths(const Table& table) {
  std::vector<size_t> widths;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    size_t width = count_code_points(show_header(table.columns[c]));
    for (const auto& row : table.rows) width = std::max(width, count_code_points(show(row[c], table.columns[c])));
    widths.push_back(width);
  }
  for (const Run& run : group_runs(table)) {
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
  for (const Run& run : group_runs(table)) {
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
  for (const Run& run : group_runs(table)) {
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

// A note, indented, broken at blanks.
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

}  // namespace

bool is_text_column(const Table& table, size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(),
                     [&](const auto& row) { return std::holds_alternative<std::string>(row[column]); });
}

std::string show_header(const Column& column) {
  return column.header + arrow(column);
}

std::string show(const Cell& cell, const Column& column) {
  if (const auto* text = std::get_if<std::string>(&cell)) return text->empty() ? dash : *text;
  const auto& figure = std::get<Figure>(cell);
  std::string text = std::isnan(figure.value) ? dash : fixed(figure.value, column.digits);
  if (!std::isnan(figure.value) && !std::isnan(figure.standard_error))
    text += " ± " + fixed(figure.standard_error, column.digits);
  if (!std::isnan(figure.paper)) text += " [paper " + fixed(figure.paper, column.digits) + "]";
  return text;
}

std::string full_header(const Column& column) {
  return (column.group.empty() ? "" : column.group + " ") + column.header + arrow(column);
}

std::string to_text(const Table& table, size_t width) {
  const auto blocks = text_blocks(table, text_widths(table), width);
  std::string out = table.title + "\n";
  for (size_t i = 0; i < blocks.size(); ++i) out += (i ? "\n" : "") + text_block(columns_of(table, blocks[i]));
  for (const std::string& note : table.notes) out += wrapped(note, width);
  std::string trimmed;  // no blanks at line ends
  for (const char c : out) {
    if (c == '\n') trimmed.erase(trimmed.find_last_not_of(' ') + 1);
    trimmed += c;
  }
  return trimmed;
}

std::string to_markdown(const Table& table) {
  std::vector<std::string> headers, rule;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    headers.push_back(markdown_escape(full_header(table.columns[c])));
    rule.push_back(is_text_column(table, c) ? ":--" : "--:");
  }
  std::string out = "### " + table.title + "\n\n| " + joined(headers, " | ") + " |\n| " + joined(rule, " | ") + " |\n";
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < row.size(); ++c) cells.push_back(markdown_escape(show(row[c], table.columns[c])));
    out += "| " + joined(cells, " | ") + " |\n";
  }
  for (const std::string& note : table.notes) out += "\n" + note + "\n";
  return out;
}

std::string to_latex(const Table& table) {
  std::string out = "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{" +
                    latex_escape(table.title) + "}\n\\label{tab:" + table.id + "}\n\\begin{tabular}{";
  for (size_t c = 0; c < table.columns.size(); ++c) out += is_text_column(table, c) ? 'l' : 'r';
  out += "}\n\\toprule\n";
  if (has_groups(table)) {
    std::vector<std::string> heads;
    std::string lines;
    for (const Run& run : group_runs(table)) {
      heads.push_back("\\multicolumn{" + std::to_string(run.end - run.first) + "}{c}{" + latex_escape(run.group) + "}");
      if (!run.group.empty())
        lines += "\\cmidrule(lr){" + std::to_string(run.first + 1) + "-" + std::to_string(run.end) + "}";
    }
    out += joined(heads, " & ") + " \\\\\n" + lines + "\n";
  }
  std::vector<std::string> headers;
  for (const Column& column : table.columns) headers.push_back(latex_escape(column.header + arrow(column)));
  out += joined(headers, " & ") + " \\\\\n\\midrule\n";
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < row.size(); ++c) cells.push_back(latex_escape(show(row[c], table.columns[c])));
    out += joined(cells, " & ") + " \\\\\n";
  }
  out += "\\bottomrule\n\\end{tabular}\n";
  for (const std::string& note : table.notes) out += "\n\\smallskip\\footnotesize " + latex_escape(note) + "\n";
  return out + "\\end{table}\n";
}

std::string to_csv(const Table& table) {
  struct Part {
    size_t column;
    const char* suffix;
    std::function<std::string(const Figure&)> of;
  };
  std::vector<Part> parts;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const auto any = [&](auto holds) {
      return std::any_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
        const auto* figure = std::get_if<Figure>(&row[c]);
        return figure && holds(*figure);
      });
    };
    parts.push_back({c, "", [](const Figure& f) { return exact(f.value); }});
    if (any([](const Figure& f) { return !std::isnan(f.standard_error); }))
      parts.push_back({c, " standard error", [](const Figure& f) { return exact(f.standard_error); }});
    if (any([](const Figure& f) { return f.n > 0; }))
      parts.push_back({c, " n", [](const Figure& f) { return f.n > 0 ? std::to_string(f.n) : ""; }});
    if (any([](const Figure& f) { return !std::isnan(f.paper); }))
      parts.push_back({c, " paper", [](const Figure& f) { return exact(f.paper); }});
  }
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
      const auto* text = std::get_if<std::string>(&cell);
      fields.push_back(text ? csv_field(part.suffix[0] ? "" : *text) : part.of(std::get<Figure>(cell)));
    }
    out += joined(fields, ",") + "\n";
  }
  return out;
}

}  // namespace cmc::analysis
