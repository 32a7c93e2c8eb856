#pragma once
#include <string>

// A line below the log, redrawn in place where stderr is a terminal: what is logged meanwhile stands above it.
namespace cmc {

bool has_status_line();  // stderr is a terminal that can clear a line

// Cut at the terminal's width; "" takes it away.
void show_status_line(const std::string& text);

// Takes the line away while something else is written to stderr.
class StatusLineAside {
 public:
  StatusLineAside();
  ~StatusLineAside();
  StatusLineAside(const StatusLineAside&) = delete;
  StatusLineAside& operator=(const StatusLineAside&) = delete;
};

}  // namespace cmc
