#pragma once
#include <filesystem>
#include <string>

#include "analysis/plot.hpp"

namespace cmc::analysis {

struct Drawn {
  std::string svg;      // empty where gnuplot could not draw it
  std::string problem;  // why, with the remedy
};
// Writes <id>.gp, <id>.svg and <id>.pdf into `folder`. Throws CannotCreate or IoError; a missing or failing gnuplot is
// told in `problem`.
Drawn draw(const Drawing& drawing, const std::filesystem::path& folder);

}  // namespace cmc::analysis
