// Tables as Markdown and LaTeX.
#include <string_view>

#include "analysis/table.hpp"
#include "analysis/table_layout.hpp"

namespace cmc::analysis {
namespace {

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
      case '<':
      case '>':
        return std::string("$") + c + "$";
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
        take("↓", "$\\downarrow$") || take("→", "$\\to$") || take("−", "$-$") || take("Δ", "$\\Delta$") ||
        take("²", "$^2$"))
      continue;
    out += escaped[at++];
  }
  return out;
}

}  // namespace

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
  for (const std::string& note : all_notes(table)) out += "\n" + note + "\n";
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
    for (const ColumnRun& run : group_runs(table)) {
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
  for (const std::string& note : all_notes(table)) out += "\n\\smallskip\\footnotesize " + latex_escape(note) + "\n";
  return out + "\\end{table}\n";
}

}  // namespace cmc::analysis
