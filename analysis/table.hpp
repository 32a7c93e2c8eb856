#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace cmc::analysis {

inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// A measured figure. What is NaN (or n = 0) was not measured and is shown as a dash, never as zero.
struct Figure {
  double value = unknown;
  double standard_error = unknown;
  int64_t n = 0;           // what `value` is the mean over; 0: not a mean
  double paper = unknown;  // the paper's figure for the same thing, where it is known
};

using Cell = std::variant<std::string, Figure>;  // an empty text is shown as a dash too

struct Column {
  std::string header;
  std::string group = {};   // columns side by side with one group share a header above; "" none
  int digits = 3;           // after the decimal point; CSV keeps full precision
  std::string better = {};  // "higher", "lower" or "": shown as an arrow
};

struct Table {
  std::string id;  // file name without its suffix
  std::string title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> notes;                                         // definitions, units, what the errors are
  enum class Shown { everywhere, files_only } shown = Shown::everywhere;  // files_only: not on the terminal
};

// A figure as people read it: "0.523 ± 0.012", with "[paper 0.51]" where known; "–" for what was not measured.
std::string show(const Cell& cell, const Column& column);
std::string show_header(const Column& column);  // "ROUGE-L ↑"
// "Real Authors ROUGE-L ↑": header with its group and arrow, on one line.
std::string full_header(const Column& column);

bool is_text_column(const Table& table, size_t column);  // every cell is text: aligned to the left

// Aligned, for a terminal. Where it would be wider than `width`, groups of columns follow one another, each beside the
// leading text columns again.
std::string to_text(const Table& table, size_t width = 120);
std::string to_markdown(const Table& table);  // GitHub's
std::string to_latex(const Table& table);     // booktabs
std::string to_csv(const Table& table);       // full precision; standard error, n and paper as columns of their own

}  // namespace cmc::analysis
