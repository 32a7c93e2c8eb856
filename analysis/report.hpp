#pragma once
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "pipeline/records/results_tables.hpp"
#include "pipeline/store/results.hpp"

namespace cmc::analysis {

// Results of an output folder (or of a results.h5): the merged file, or, before there is one, what units are finished.
struct Source {
  store::Results results;
  std::vector<records::PlannedTask> plan;  // of the folder, where the results hold none
  std::vector<std::string> remarks;        // what is not in it, for people
};
// Throws MissingInput where there is neither, BadData where the file is damaged.
Source load_results(const std::filesystem::path& folder_or_file);

enum class Print { first_look, all };  // findings and the main tables' first columns; or all that the page shows

// Writes index.html, tables/*.{md,tex,csv}, figures/*.{gp,svg,pdf} into `folder`, and prints on `out`; returns the
// remarks (a missing gnuplot among them). Throws CannotCreate or IoError, Refused where the folder has another's page.
std::vector<std::string> write_report(const Source& source, const std::filesystem::path& folder, Print print,
                                      std::ostream& out);

}  // namespace cmc::analysis
