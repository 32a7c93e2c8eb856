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

bool is_text(const Table& table, size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(),
                     [&](const auto& row) { return std::holds_alternative<std::string>(row[column]); });
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

std::string text_group_line(const Table& table, const std::vector<size_t>& widths) {
  std::string line;
  for (const Run& run : group_runs(table)) {
    size_t width = 2 * (run.end - run.first - 1);
    for (size_t c = run.first; c < run.end; ++c) width += widths[c];
    line += padded(run.group, width, true) + "  ";
  }
  return line + "\n";
}

}  // namespace

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

std::string to_text(const Table& table) {
  std::vector<size_t> widths;
  std::vector<bool> left;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    size_t width = count_code_points(table.columns[c].header + arrow(table.columns[c]));
    for (const auto& row : table.rows) width = std::max(width, count_code_points(show(row[c], table.columns[c])));
    widths.push_back(width);
    left.push_back(is_text(table, c));
  }
  for (const Run& run : group_runs(table)) {  // a group's name may be wider than its columns
    size_t width = 2 * (run.end - run.first - 1);
    for (size_t c = run.first; c < run.end; ++c) width += widths[c];
    const size_t needed = count_code_points(run.group);
    if (needed > width) widths[run.first] += needed - width;
  }
  std::string out = table.title + "\n";
  if (has_groups(table)) out += text_group_line(table, widths);
  std::string rule;
  for (size_t c = 0; c < widths.size(); ++c) {
    out += padded(table.columns[c].header + arrow(table.columns[c]), widths[c], left[c]) + "  ";
    rule += std::string(widths[c], '-') + "  ";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < widths.size(); ++c) out += padded(show(row[c], table.columns[c]), widths[c], left[c]) + "  ";
    out += "\n";
  }
  for (const std::string& note : table.notes) out += "  " + note + "\n";
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
    rule.push_back(is_text(table, c) ? ":--" : "--:");
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
  for (size_t c = 0; c < table.columns.size(); ++c) out += is_text(table, c) ? 'l' : 'r';
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
