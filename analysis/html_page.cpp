#include "analysis/html_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "analysis/html_script.hpp"
#include "analysis/html_style.hpp"

namespace cmc::analysis {
namespace {

// A text of a JSON object, or "".
std::string text_of(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object.at(key).is_string() ? object.at(key).get<std::string>()
                                                                                  : "";
}

std::string element(const std::string& tag, const std::string& text) {
  return "<" + tag + ">" + html_escape(text) + "</" + tag + ">\n";
}

std::string tooltip(const Figure& figure, const Column& column) {
  if (std::isnan(figure.value)) return "not measured";
  std::string text = figure.n > 0 ? "n = " + std::to_string(figure.n) : "";
  for (const auto& [seed, value] : figure.by_seed)
    text += (text.empty() ? "" : ", ") + ("seed " + std::to_string(seed)) + ": " +
            show(records::plain_figure(value), column);
  if (!std::isnan(figure.paper)) text += (text.empty() ? "" : ", ") + std::string("paper's figure in brackets");
  return text;
}

// What the page's script sorts by; nothing where nothing was measured.
std::string sort_value(const Figure& figure) {
  if (std::isnan(figure.value)) return "";
  char text[48];
  std::snprintf(text, sizeof text, " data-value=\"%.17g\"", figure.value);
  return text;
}

std::string figure_html(const Figure& figure, const Column& column) {
  std::string shown = html_escape(show(figure, column));
  if (const size_t at = shown.find(" ± "); at != std::string::npos) {
    const size_t end = std::min(shown.find(" [", at), shown.size());
    shown = shown.substr(0, at) + " <small>" + shown.substr(at + 1, end - at - 1) + "</small>" + shown.substr(end);
  }
  const std::string hint = tooltip(figure, column);
  return "<td" + sort_value(figure) + (hint.empty() ? "" : " title=\"" + html_escape(hint) + "\"") + ">" + shown +
         "</td>";
}

// What a narrow screen shows below the first name of a row, in place of its other key columns: "cmc · tiny · α 1".
std::string other_keys(const Table& table, const std::vector<Cell>& row) {
  std::string keys;
  for (size_t c = 1; c < table.key_columns; ++c) {
    const auto* text = std::get_if<std::string>(&row[c]);
    if (!text || text->empty()) continue;
    keys += (keys.empty() ? "" : " · ") + (table.columns[c].header == "α" ? "α " : std::string()) + *text;
  }
  return keys;
}

std::string row_html(const Table& table, const std::vector<Cell>& row) {
  std::string out = "<tr>";
  for (size_t c = 0; c < row.size(); ++c) {
    if (const auto* figure = std::get_if<Figure>(&row[c])) {
      out += figure_html(*figure, table.columns[c]);
      continue;
    }
    const bool key = c > 0 && c < table.key_columns;
    out += (!is_text_column(table, c) ? "<td>"
            : key                     ? "<td class=\"text key\">"
                                      : "<td class=text>") +
           html_escape(show(row[c], table.columns[c]));
    if (const std::string keys = c == 0 ? other_keys(table, row) : ""; !keys.empty())
      out += "<span class=more>" + html_escape(keys) + "</span>";
    out += "</td>";
  }
  return out + "</tr>\n";
}

std::string head_html(const Table& table) {
  std::string groups, headers;
  bool grouped = false;
  const auto is_key = [&](size_t c) { return c > 0 && c < table.key_columns; };
  for (size_t c = 0; c < table.columns.size();) {
    size_t end = c + 1;  // key columns stand alone: a narrow screen leaves them out
    while (c >= table.key_columns && end < table.columns.size() && table.columns[end].group == table.columns[c].group)
      ++end;
    grouped = grouped || !table.columns[c].group.empty();
    groups += "<th colspan=" + std::to_string(end - c) + (is_key(c) ? " class=\"group key\">" : " class=group>") +
              html_escape(table.columns[c].group) + "</th>";
    c = end;
  }
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const char* open = is_key(c) ? "<th class=\"text key\">" : is_text_column(table, c) ? "<th class=text>" : "<th>";
    headers += open + html_escape(show_header(table.columns[c])) + "</th>";
  }
  return "<thead>" + (grouped ? "<tr>" + groups + "</tr>" : "") + "<tr>" + headers + "</tr></thead>\n";
}

std::string files_html(const std::string& table_id) {
  std::string out = "<p class=note>Files: ";
  for (const char* type : {"md", "tex", "csv"})
    out += "<a href=\"tables/" + table_id + "." + type + "\">" + type + "</a> ";
  return out + "</p>\n";
}

std::string table_html(const Table& table) {
  std::string out = "<figure id=\"table-" + table.id + "\">\n<figcaption>" + html_escape(table.title) +
                    "</figcaption>\n<div class=scroll><table" + (table.columns.size() > 12 ? " class=wide" : "") +
                    ">\n" + head_html(table) + "<tbody>\n";
  for (const auto& row : table.rows) out += row_html(table, row);
  out += "</tbody></table></div>\n";
  for (const std::string& note : all_notes(table)) out += "<p class=note>" + html_escape(note) + "</p>\n";
  return out + files_html(table.id) + "</figure>\n";
}

// For those who want every row.
std::string folded(const Table& table) {
  return "<details class=table><summary>" + html_escape(table.title) + ": all " + std::to_string(table.rows.size()) +
         " rows</summary>\n" + table_html(table) + "</details>\n";
}

std::string replace_all(std::string text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

// Inline SVG without its prologue; gnuplot gives the same ids in every drawing, so they are made different.
std::string inline_svg(const std::string& svg, const std::string& id) {
  const size_t start = svg.find("<svg");
  if (start == std::string::npos) return "";
  std::string drawing = svg.substr(start);
  for (const char* before : {" id='", " id=\"", "href='#", "href=\"#", "url(#"})
    drawing = replace_all(drawing, before, before + id + "_");
  return drawing;
}

std::string plot_html(const Drawing& plot, const std::string& svg) {
  return "<figure id=\"figure-" + plot.id + "\">\n<div class=plot>" + inline_svg(svg, plot.id) +
         "</div>\n<figcaption class=note>" + html_escape(plot.caption) + " Files: <a href=\"figures/" + plot.id +
         ".svg\">svg</a> <a href=\"figures/" + plot.id + ".pdf\">pdf</a> <a href=\"figures/" + plot.id +
         ".png\">png</a> <a href=\"figures/" + plot.id + ".gp\">gnuplot</a></figcaption>\n</figure>\n";
}

std::string example_html(const Example& example) {
  std::string out = "<details><summary>" + html_escape(example.title) + "</summary>\n<dl>\n";
  for (const auto& [label, text] : example.texts)
    out += "<dt>" + html_escape(label) + "</dt><dd>" + (text.empty() ? "–" : html_escape(text)) + "</dd>\n";
  return out + "</dl></details>\n";
}

std::string plots_html(const Section& section, const std::map<std::string, std::string>& drawings) {
  std::string out;
  for (const Drawing& plot : drawings_of(section))
    if (const auto svg = drawings.find(plot.id); svg != drawings.end()) out += plot_html(plot, svg->second);
  return out.empty() ? "" : "<div class=plots>\n" + out + "</div>\n";
}

std::string section_html(const Section& section, const std::map<std::string, std::string>& drawings) {
  std::string out =
      "<section id=\"" + section.id + "\">\n" + element("h2", section.title) + element("p", section.introduction);
  for (const Table& table : section.tables) {
    out += table.shown == Table::Shown::folded ? folded(table) : table_html(table);
    if (&table == &section.tables.front()) out += plots_html(section, drawings);  // they show what stands in it
  }
  if (!section.examples.empty()) out += "<h3>Examples</h3>\n";
  for (const Example& example : section.examples) out += example_html(example);
  return out + "</section>\n";
}

std::string overview_html(const Overview& overview) {
  std::string out = "<dl class=overview>\n";
  for (const auto& [label, text] : overview)
    out += "<div><dt>" + html_escape(label) + "</dt><dd>" + html_escape(text) + "</dd></div>\n";
  return out + "</dl>\n";
}

std::string findings_html(const std::vector<Finding>& findings) {
  std::string out = "<section id=findings>\n<h2>Findings</h2>\n<ul class=findings>\n";
  for (const Finding& finding : findings) {
    constexpr size_t shown = 8;  // more of them would push what follows out of sight
    const bool folded = finding.evidence.size() > shown;
    out += "<li>" + html_escape(finding.effect) + " — <strong>" + html_escape(finding.summary()) + "</strong>\n";
    if (folded) out += "<details><summary>each of the " + std::to_string(finding.evidence.size()) + "</summary>\n";
    out += "<ul>\n";
    for (const Evidence& evidence : finding.evidence) out += element("li", sentence(evidence));
    out += finding.evidence.empty() ? "<li>no units</li>\n</ul>" : "</ul>";
    out += folded ? "\n</details></li>\n" : "</li>\n";
  }
  return out + "</ul>\n<p class=note>" + html_escape(findings_rule) + "</p>\n" + files_html("findings") +
         "</section>\n";
}

std::string provenance_html(const Page& page) {
  std::string out = "<section id=provenance>\n<h2>Provenance</h2>\n<div class=scroll><table><tbody>\n";
  if (page.header.environment.is_object())
    for (const auto& [name, value] : page.header.environment.items())
      out += "<tr><td class=text>" + html_escape(name) + "</td><td class=text>" +
             html_escape(value.is_string() ? value.get<std::string>() : value.dump()) + "</td></tr>\n";
  out += "</tbody></table></div>\n<details><summary>Experiment file: run it again with cmc run</summary><pre>" +
         html_escape(page.header.experiment) + "</pre></details>\n";
  return out +
         "<p class=note>Every figure comes from results.h5; results/README.md of the software says how to open it with "
         "h5dump, h5py, xarray and "
         "pandas.</p>\n</section>\n";
}

std::string citation_html(const Page& page) {
  const std::string version = text_of(page.header.environment, "version");
  return "<section id=cite>\n<h2>How to cite</h2>\n<p>The method:</p>\n<pre>" + html_escape(paper_bibtex) +
         "</pre>\n<p>The software: cmc " + html_escape(version) +
         " (Apache License 2.0), with the experiment file above.</p>\n</section>\n";
}

}  // namespace

std::string html_escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\0':
        out += "\xEF\xBF\xBD";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string to_html(const Page& page) {
  const std::string title = page.header.title.empty() ? "Results" : page.header.title;
  const std::string date = text_of(page.header.environment, "date"), host = text_of(page.header.environment, "host");
  std::string out =
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta name=generator content=cmc-report>\n<meta "
      "name=viewport "
      "content=\"width=device-width, initial-scale=1\">\n" +
      element("title", title) + "<style>" + std::string(page_style) + "</style>\n</head>\n<body>\n<header>\n" +
      element("h1", title) + "<p>" + std::to_string(page.units) + (page.units == 1 ? " unit" : " units");
  if (!date.empty()) out += " · " + html_escape(date);
  if (!host.empty()) out += " · " + html_escape(host);
  out += "</p>\n<nav><a href=\"#findings\">Findings</a> ";
  for (const Section& section : page.sections)
    out += "<a href=\"#" + section.id + "\">" + html_escape(section.title) + "</a> ";
  out += "<a href=\"#provenance\">Provenance</a> <a href=\"#cite\">How to cite</a></nav>\n</header>\n<main>\n";
  for (const std::string& remark : page.remarks) out += "<p class=remark>" + html_escape(remark) + "</p>\n";
  out += overview_html(page.overview) + findings_html(page.findings);
  for (const Section& section : page.sections) out += section_html(section, page.drawings);
  return out + provenance_html(page) + citation_html(page) + "</main>\n<script>" + std::string(page_script) +
         "</script>\n</body>\n</html>\n";
}

}  // namespace cmc::analysis
