#include "pipeline/data/gamed_baselines.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <string_view>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

constexpr const char* remedy = "give alpaca_eval's df_gamed.csv, as its repository of data has it";

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

class Columns {
 public:
  Columns(std::string file, std::string_view header) : file_(std::move(file)), names_(split(header, ',')) {}

  void take(std::string_view line, size_t number) {
    cells_ = split(line, ',');
    where_ = file_ + ":" + std::to_string(number);
    if (cells_.size() != names_.size())
      throw BadData({where_,
                     "has " + std::to_string(cells_.size()) + " values for " + std::to_string(names_.size()) +
                         " columns (texts with commas are not read)",
                     remedy});
  }

  double number(std::string_view column) const {
    const auto found = std::ranges::find(names_, column);
    if (found == names_.end()) throw BadData({file_, "has no column " + std::string(column), remedy});
    const auto cell = cells_[static_cast<size_t>(found - names_.begin())];
    double value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
      throw BadData(
          {where_ + ": " + std::string(column), "is \"" + std::string(cell) + "\", no finite number", remedy});
    return value;
  }

  const std::string& where() const { return where_; }

 private:
  std::string file_, where_;
  std::vector<std::string_view> names_, cells_;
};

GamedBaseline baseline_of(const Columns& columns) {
  const double index = columns.number("index");
  if (index < 0 || index != std::floor(index) || index > 1e6)
    throw BadData({columns.where() + ": index", "is no whole number from 0 on", remedy});
  const GamedBaseline row{static_cast<int64_t>(index), columns.number("preference"), columns.number("std_delta_len"),
                          columns.number("instruction_difficulty")};
  if (row.preference < 0 || row.preference > 1)
    throw BadData({columns.where() + ": preference", "is not from 0 to 1", remedy});
  return row;
}

}  // namespace

Dataset<GamedBaseline> read_gamed_baselines(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  auto dataset = describe<GamedBaseline>(file);
  auto lines = split(text, '\n');
  for (auto& line : lines)
    if (line.ends_with('\r')) line.remove_suffix(1);
  Columns columns(file.string(), lines.front());
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    columns.take(lines[i], i + 1);
    dataset.items.push_back(baseline_of(columns));
  }
  if (dataset.items.empty()) throw BadData({file.string(), "holds no row", remedy});
  return dataset;
}

std::vector<double> instruction_difficulties(const Dataset<GamedBaseline>& baselines) {
  std::map<int64_t, double> known;
  for (const auto& row : baselines.items)
    if (const auto [at, fresh] = known.try_emplace(row.index, row.difficulty); !fresh && at->second != row.difficulty)
      throw BadData({baselines.file.string() + ": instruction_difficulty",
                     "says two things of index " + std::to_string(row.index), remedy});
  std::vector<double> difficulties;
  for (const auto& [index, difficulty] : known) {
    if (index != std::ssize(difficulties))
      throw BadData({baselines.file.string() + ": index", "leaves out " + std::to_string(difficulties.size()), remedy});
    difficulties.push_back(difficulty);
  }
  return difficulties;
}

}  // namespace cmc::data
