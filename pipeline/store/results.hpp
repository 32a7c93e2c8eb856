#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// results.h5: self-contained, made from units at any time, the same bytes for the same units.
struct ResultsHeader {
  std::string title;
  std::string experiment;  // the resolved experiment file, enough to run again
  Json environment;        // environment.json
};

// Merges `keys` of `output_folder` into output_folder/results.h5. Groups: /stage/<short key>/…
void write_results(const std::filesystem::path& output_folder, const ResultsHeader& header,
                   const std::vector<std::string>& keys);

struct Results {
  ResultsHeader header;
  std::vector<Unit> units;
};
Results read_results(const std::filesystem::path& file);

}  // namespace cmc::store
