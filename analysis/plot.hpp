#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace cmc::analysis {

struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> error = {};  // standard error of y; empty: none
};

struct Plot {
  std::string id;  // file name without its suffix
  std::string title, x_label, y_label;
  std::string caption;  // what is shown, n, what the bars are
  std::vector<Series> series;
};

// The gnuplot script, data inside: it makes <id>.svg and <id>.pdf in the folder it runs in.
std::string gnuplot_script(const Plot& plot);

struct Drawn {
  std::string svg;      // empty where gnuplot could not draw it
  std::string problem;  // why, with the remedy
};
// Writes <id>.gp, <id>.svg and <id>.pdf into `folder`. Throws CannotCreate or IoError; a missing or failing gnuplot is
// told in `problem`.
Drawn draw(const Plot& plot, const std::filesystem::path& folder);

}  // namespace cmc::analysis
