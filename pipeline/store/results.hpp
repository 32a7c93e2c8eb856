#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/store/table.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// results.h5: self-contained, made from units at any time, the same bytes for the same units and header.
struct ResultsHeader {
  std::string title;
  std::string experiment;  // the resolved experiment file, enough to run again
  Json environment;        // environment.json; its software, version, libtorch, hdf5, compiler, host, date become root
                           // attributes
};

// What stands in the file beside its units, made of them as they pass.
struct Additions {
  std::function<void(Unit& unit)> take;        // every unit, in the order of the file; may fill its labels
  std::function<std::vector<Table>()> tables;  // after the last of them
};

// Merges `keys` of `output_folder` into output_folder/results.h5, published all or nothing and sealed like a unit.
// Groups: /<stage>/<short key>/… sorted by stage and key, /tasks (one row per unit), the additions' tables,
// /configuration. A key given twice counts once. Throws MissingInput or BadData naming the unit, IoError (74) on a full
// disk: the old file then stays.
void write_results(const std::filesystem::path& output_folder, const ResultsHeader& header,
                   const std::vector<std::string>& keys, const Additions& additions = {});

struct Results {
  ResultsHeader header;
  std::vector<Unit> units;         // sorted by stage, then key
  std::optional<Table> plan = {};  // every task that was asked for; schema 1 has none
};
// Throws MissingInput, or BadData when the file is not whole or of another schema.
Results read_results(const std::filesystem::path& file);
// The same from a file's bytes, seal included; `where` names it in errors.
Results decode_results(std::string_view sealed, const std::string& where);

}  // namespace cmc::store
