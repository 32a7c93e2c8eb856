// Figures as gnuplot scripts.
#include "analysis/plot.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace cmc::analysis {
namespace {

// Okabe and Ito (2008): told apart with every kind of colour vision.
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                   "#e69f00", "#56b4e9", "#000000", "#999933"};

// Within double quotes gnuplot reads backslashes; names from outside may hold anything.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '`' ? ' ' : c;
  }
  return out;
}

std::string quoted(const std::string& text) {
  return '"' + escaped(text) + '"';
}

constexpr size_t widest_title = 52;  // letters: gnuplot cuts off what does not fit above the figure

// The title's lines, broken at spaces.
std::vector<std::string> title_lines(const std::string& title) {
  std::vector<std::string> lines;
  std::istringstream words(title);
  for (std::string word; words >> word;) {
    if (!lines.empty() && lines.back().size() + 1 + word.size() <= widest_title)
      lines.back() += ' ' + word;
    else
      lines.push_back(std::move(word));
  }
  return lines;
}

std::string set_title(const std::vector<std::string>& lines) {
  std::string out = "set title \"";
  for (size_t i = 0; i < lines.size(); ++i) out += (i ? "\\n" : "") + escaped(lines[i]);
  return out + "\" noenhanced";
}

constexpr size_t most_points = 60;  // more are drawn as a line alone, their errors as a band

std::string data_of(const Series& series, const std::string& name) {
  std::ostringstream out;
  out.precision(10);
  out << name << " << END\n";
  for (size_t i = 0; i < series.x.size(); ++i) {
    const double error = i < series.error.size() && std::isfinite(series.error[i]) ? series.error[i] : 0;
    if (std::isfinite(series.x[i]) && std::isfinite(series.y[i]))
      out << series.x[i] << ' ' << series.y[i] << ' ' << error << '\n';
  }
  out << "END\n";
  return out.str();
}

std::string curve_of(const Series& series, const std::string& name, const std::string& colour) {
  const std::string line = " lc rgb \"" + colour + "\" title " + quoted(series.name);
  const bool bars = !series.error.empty(), points = series.x.size() <= most_points;
  if (points)
    return name + (bars ? " using 1:2:3 with yerrorlines" : " using 1:2 with linespoints") + " pt 7 ps 0.6 lw 2" + line;
  const std::string band = name +
                           " using 1:($2-$3):($2+$3) with filledcurves fs transparent solid 0.25 noborder lc rgb \"" +
                           colour + "\" notitle, \\\n     ";
  return (bars ? band : "") + name + " using 1:2 with lines lw 2" + line;
}

// gnuplot puts as many names side by side as the longest lets it.
int legend_lines(const Plot& plot) {
  size_t longest = 0;
  for (const Series& series : plot.series) longest = std::max(longest, series.name.size());
  const size_t a_line = longest <= 12 ? 3 : longest <= 20 ? 2 : 1;
  return static_cast<int>((plot.series.size() + a_line - 1) / a_line);
}

// The same commands for the page, for print and for slides. The SVG is 480 wide, so that a phone leaves its letters
// readable; the PNG has four times its points.
std::string all_formats(const std::string& id, int height, const std::string& commands) {
  std::ostringstream out;
  out << "set terminal svg size 480," << height << " dynamic font \"Helvetica,13\"\nset output " << quoted(id + ".svg")
      << "\n"
      << commands << "set terminal pdfcairo size 6.3," << 6.3 * height / 480 << " font \"Helvetica,11\"\nset output "
      << quoted(id + ".pdf") << "\n"
      << commands << "set terminal pngcairo size 1920," << 4 * height
      << " font \"Helvetica,13\" fontscale 3.4 linewidth 4 pointscale 4\nset output " << quoted(id + ".png") << "\n"
      << commands;
  return out.str();
}

std::string matrix_data(const Heatmap::Panel& panel, const std::string& name) {
  std::ostringstream out;
  out.precision(6);
  out << name << " << END\n";
  for (const auto& row : panel.rows) {
    for (size_t c = 0; c < row.size(); ++c) out << (c ? " " : "") << (std::isfinite(row[c]) ? row[c] : NAN);
    out << '\n';
  }
  out << "END\n";
  return out.str();
}

// Where 99 % of the absolute values lie: a few extremes would make everything else white.
double scale_end(const Heatmap& heatmap) {
  std::vector<double> sizes;
  for (const auto& panel : heatmap.panels)
    for (const auto& row : panel.rows)
      for (const double value : row)
        if (std::isfinite(value)) sizes.push_back(std::abs(value));
  if (sizes.empty()) return 1;
  const auto at = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() * 99 / 100);
  std::nth_element(sizes.begin(), at, sizes.end());
  return *at > 0 ? *at : 1;
}

// Panels one above the other: the same column of each stands on one line, and a narrow screen shows all of them.
std::string panel_commands(const Heatmap& heatmap, double each) {
  std::ostringstream out;
  out << "set multiplot\n";
  for (size_t p = 0; p < heatmap.panels.size(); ++p) {
    const double top = 1 - each * static_cast<double>(p) - 0.25 * each;
    const size_t rows = heatmap.panels[p].rows.size();
    const bool last = p + 1 == heatmap.panels.size();
    out << "set tmargin at screen " << top << "\nset bmargin at screen " << top - 0.6 * each << "\n"
        << (p == 0 ? "set colorbox user origin screen 0.87,0.15 size screen 0.03,0.7\nset label 1 " +
                         quoted(heatmap.scale_label) + " noenhanced at screen 0.915,0.885 center\n"
                   : "unset colorbox\nunset label 1\n")
        << set_title(title_lines(heatmap.panels[p].title)) << " offset 0,-0.5\n"
        << "set yrange [" << rows << ".5:0.5]\nset ytics " << std::max<size_t>(1, rows / 5) << "\nset xlabel "
        << (last ? quoted(heatmap.x_label) + " noenhanced offset 0,0.5" : "\"\"") << "\n"
        << "plot $panel" << p << " matrix using ($1+1):($2+1):3 with image notitle\n";
  }
  out << "unset multiplot\n";
  return out.str();
}

}  // namespace

Drawing drawing_of(const Plot& plot) {
  std::ostringstream out;
  const auto title = title_lines(plot.title);
  out << "set encoding utf8\nset grid lc rgb \"#dddddd\"\nset border 3\nset tics nomirror\nset key outside "
         "top center horizontal samplen 1.5 font \",11\" noenhanced\n"
      << set_title(title) << "\nset xlabel " << quoted(plot.x_label) << " noenhanced\nset ylabel "
      << quoted(plot.y_label)
      << " noenhanced\nset autoscale noextend\nset offsets graph 0.03, graph 0.03, graph 0.05, graph 0.05\n";
  std::string curves;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const std::string name = "$data" + std::to_string(s);
    out << data_of(plot.series[s], name);
    curves += (s ? ", \\\n     " : "") + curve_of(plot.series[s], name, colours[s % std::size(colours)]);
  }
  out << all_formats(plot.id, 274 + 16 * (legend_lines(plot) + static_cast<int>(title.size())),
                     "plot " + curves + "\n");
  return {plot.id, plot.caption + (plot.bars.empty() ? "" : " Bars: " + plot.bars + "."), out.str()};
}

Drawing drawing_of(const Heatmap& heatmap) {
  std::ostringstream out;
  out << "set encoding utf8\nset datafile missing \"nan\"\nset tics nomirror out\nunset key\n"
      << "set palette defined (-1 \"#2166ac\", -0.5 \"#92c5de\", 0 \"#ffffff\", 0.5 \"#f4a582\", 1 \"#b2182b\")\n";
  for (size_t p = 0; p < heatmap.panels.size(); ++p)
    out << matrix_data(heatmap.panels[p], "$panel" + std::to_string(p));
  const double end = scale_end(heatmap);
  out << "set cbrange [" << -end << ":" << end << "]\nset ylabel " << quoted(heatmap.y_label)
      << " noenhanced offset 1,0\nset autoscale xfix\nset lmargin at screen 0.15\nset rmargin at screen 0.82\n";
  const auto panels = static_cast<int>(heatmap.panels.size());
  out << all_formats(heatmap.id, 40 + 165 * panels, panel_commands(heatmap, 0.94 / std::max(1, panels)));
  return {heatmap.id, heatmap.caption, out.str()};
}

}  // namespace cmc::analysis
