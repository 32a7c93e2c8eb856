#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pipeline/records/figure.hpp"

namespace cmc::analysis {

using records::Figure, records::OverSeeds, records::unknown;

// How many items a row is about, "24", or of several sets "20/20/24/40"; 0: a dash.
struct Counts {
  std::vector<int64_t> n;
  bool operator==(const Counts&) const = default;
};

// Of OverSeeds, `largest` is shown as "< 0.001" below that.
using Cell = std::variant<std::string, Figure, Counts>;  // an empty text is shown as a dash too

struct Column {
  std::string header;
  std::string group = {};   // columns side by side with one group share a header above; "" none
  int digits = 3;           // after the decimal point; CSV keeps full precision
  std::string better = {};  // "higher", "lower" or "": shown as an arrow
  OverSeeds over_seeds = OverSeeds::mean;
};

struct Table {
  std::string id;  // file name without its suffix
  std::string title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> notes;  // definitions and units
  // first: also on a terminal that is not asked for all; folded: closed on the page, never on a terminal.
  enum class Shown { first, everywhere, folded } shown = Shown::everywhere;
  size_t key_columns = 1;          // leading texts that name a row: the same in every seed
  std::string errors = {};         // what figures and ± are, for one seed; the first note
  std::vector<size_t> first = {};  // columns of a first look, beside the leading texts; none: as many as fit
};

std::vector<std::string> all_notes(const Table& table);
void sort_by_texts(Table& table);  // rows by their key columns, for rows that have no order of their own

// A figure as people read it: "0.523 ± 0.012", with "[paper 0.51]" where known; "–" for what was not measured.
std::string show(const Cell& cell, const Column& column);
std::string arrow(const Column& column);        // " ↑", " ↓" or ""
std::string show_header(const Column& column);  // "ROUGE-L ↑"
// "Real Authors ROUGE-L ↑": header with its group and arrow, on one line.
std::string full_header(const Column& column);

bool is_text_column(const Table& table, size_t column);  // every cell is text: aligned to the left

// Aligned, for a terminal. Where it would be wider than `width`, groups of columns follow one another, each beside the
// leading text columns again.
std::string to_text(const Table& table, size_t width = 120);
// What of that fits beside the leading texts, with what figures are: a first look.
std::string first_columns(const Table& table, size_t width = 120);
// One note, indented, broken at blanks.
std::string wrapped(const std::string& note, size_t width = 120);
std::string to_markdown(const Table& table);  // GitHub's
std::string to_latex(const Table& table);     // booktabs
// Full precision; standard error, deviation over seeds, n, paper and each seed's figure as columns of their own.
std::string to_csv(const Table& table);

}  // namespace cmc::analysis
