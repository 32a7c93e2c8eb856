#pragma once
#include <string>
#include <vector>

namespace cmc::analysis {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> error = {};  // of y, as the plot's `bars` says; empty: none
};

struct Plot {
  std::string id;  // file name without its suffix; plots that share one are numbered
  std::string title, x_label, y_label;
  std::string caption;  // what is shown, n
  std::vector<Series> series;
  std::string bars = {};  // what the series' errors are; "" none
};

// Matrices of one size side by side under one colour scale, white at zero.
struct Heatmap {
  struct Panel {
    std::string title;
    std::vector<std::vector<double>> rows;  // [row][column]; NaN is left blank
  };
  std::string id;
  std::string title, x_label, y_label, scale_label;
  std::string caption;
  std::vector<Panel> panels;
};

// A figure ready for gnuplot: the script, data inside, makes <id>.svg, <id>.pdf and <id>.png in the folder it runs in.
struct Drawing {
  std::string id, caption, script;
};
Drawing drawing_of(const Plot& plot);
Drawing drawing_of(const Heatmap& heatmap);

}  // namespace cmc::analysis
