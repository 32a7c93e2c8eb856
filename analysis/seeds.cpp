#include "analysis/seeds.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/sample.hpp"
#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

using Seeded = std::pair<int64_t, Section>;
using Row = std::vector<Cell>;
using Key = std::vector<std::string>;

using Seed = std::optional<int64_t>;

Seed named_seed(const Json& object) {
  const double seed = number_of(object, "seed");
  return std::isnan(seed) ? Seed() : static_cast<int64_t>(seed);
}

// The seed each unit belongs to: the one it or its training names, or that of the units it was made from.
class UnitSeeds {
 public:
  explicit UnitSeeds(const store::Results& results) {
    for (const auto& unit : results.units) units_[unit.key] = &unit;
    for (const auto& unit : results.units) seeds_.push_back(find(unit));
  }
  const std::vector<Seed>& of_units() const { return seeds_; }  // [unit]

 private:
  Seed find(const store::Unit& unit) {
    const auto [known, added] = known_.try_emplace(unit.key);  // first: also the end of inputs that run in a circle
    if (!added) return known->second;
    Seed seed = named_seed(unit.task);
    if (!seed && unit.task.is_object() && unit.task.contains("training")) seed = named_seed(unit.task.at("training"));
    if (!seed && unit.task.is_object() && unit.task.contains("inputs"))
      for (const Json& input : unit.task.at("inputs"))
        if (const auto made = input.is_string() ? units_.find(input.get<std::string>()) : units_.end();
            made != units_.end() && !seed)
          seed = find(*made->second);
    return known_[unit.key] = seed;
  }

  std::map<std::string, const store::Unit*> units_;
  std::map<std::string, Seed> known_;
  std::vector<Seed> seeds_;
};

template <class Keep>
store::Results kept(const store::Results& results, Keep keep) {
  store::Results part{results.header, {}};
  const UnitSeeds seeds(results);
  for (size_t i = 0; i < results.units.size(); ++i)
    if (keep(seeds.of_units()[i])) part.units.push_back(results.units[i]);
  return part;
}

// What names each row; rows of one name are told apart by their order.
std::vector<Key> row_keys(const Table& table) {
  std::vector<Key> keys;
  std::map<Key, int> seen;
  for (const Row& row : table.rows) {
    Key key;
    for (size_t c = 0; c < table.key_columns && c < row.size(); ++c) key.push_back(show(row[c], table.columns[c]));
    const int before = seen[key]++;
    key.push_back(std::to_string(before));
    keys.push_back(std::move(key));
  }
  return keys;
}

const Row* find_row(const Table* table, const Key& key) {
  if (!table) return nullptr;
  const auto keys = row_keys(*table);
  const auto found = std::ranges::find(keys, key);
  return found == keys.end() ? nullptr : &table->rows[static_cast<size_t>(found - keys.begin())];
}

const Table* find_table(const Section& section, const std::string& id) {
  const auto found = std::ranges::find(section.tables, id, &Table::id);
  return found == section.tables.end() ? nullptr : &*found;
}

std::string list_of(const std::vector<int64_t>& seeds) {
  std::string text;
  for (const int64_t seed : seeds) text += (text.empty() ? "" : ", ") + std::to_string(seed);
  return text;
}

bool same_measurement(const Cell& a, const Cell& b) {
  if (const auto *first = std::get_if<Counts>(&a), *second = std::get_if<Counts>(&b); first && second)
    return *first == *second;
  const auto *first = std::get_if<Figure>(&a), *second = std::get_if<Figure>(&b);
  if (!first || !second || std::isnan(second->value)) return false;
  const bool errors = first->standard_error == second->standard_error ||
                      (std::isnan(first->standard_error) && std::isnan(second->standard_error));
  return first->value == second->value && first->n == second->n && errors;
}

std::string together(const std::vector<std::pair<int64_t, const Cell*>>& cells) {
  std::vector<std::string> distinct;
  for (const auto& [seed, cell] : cells) {
    const auto* text = std::get_if<std::string>(cell);
    if (text && !text->empty() && std::ranges::find(distinct, *text) == distinct.end()) distinct.push_back(*text);
  }
  std::string all;
  for (const std::string& text : distinct) all += (all.empty() ? "" : " / ") + text;
  return all;
}

// One cell of every seed. `fixed`: the same cell of the units without a seed alone, null where there is none.
Cell combined(const std::vector<std::pair<int64_t, const Cell*>>& cells, const Cell* fixed, OverSeeds rule) {
  if (fixed && std::ranges::all_of(cells, [&](const auto& cell) { return same_measurement(*cell.second, *fixed); })) {
    Cell once = *fixed;
    if (auto* figure = std::get_if<Figure>(&once))
      figure->standard_error = unknown;  // ± means the spread over seeds here
    return once;
  }
  std::vector<std::pair<int64_t, Figure>> figures;
  Counts sum;
  for (const auto& [seed, cell] : cells) {
    if (const auto* figure = std::get_if<Figure>(cell)) figures.emplace_back(seed, *figure);
    if (const auto* counts = std::get_if<Counts>(cell)) {
      sum.n.resize(std::max(sum.n.size(), counts->n.size()));
      for (size_t i = 0; i < counts->n.size(); ++i) sum.n[i] += counts->n[i];
    }
  }
  if (!figures.empty()) return seed_figure(figures, rule);
  if (!sum.n.empty()) return sum;
  return together(cells);
}

// Rows of all seeds, each once, later seeds' new rows behind the row they follow there.
std::vector<Key> keys_of(const std::vector<const Table*>& tables) {
  std::vector<Key> keys;
  for (const Table* table : tables) {
    auto next = keys.begin();
    for (const Key& key : row_keys(*table)) {
      const auto known = std::ranges::find(keys, key);
      next = (known == keys.end() ? keys.insert(next, key) : known) + 1;
    }
  }
  return keys;
}

// The cell of a row in the column of this name: tables of other seeds may have more or fewer. Null: none.
const Cell* find_cell(const Table* table, const Key& key, const Column& column) {
  const Row* row = find_row(table, key);
  if (!row) return nullptr;
  const auto same = [&](const Column& other) { return other.header == column.header && other.group == column.group; };
  const auto found = std::ranges::find_if(table->columns, same);
  return found == table->columns.end() ? nullptr : &(*row)[static_cast<size_t>(found - table->columns.begin())];
}

Table combined(const std::string& id, const std::vector<Seeded>& sections, const Section& fixed) {
  std::vector<const Table*> tables;
  std::vector<int64_t> seeds;
  for (const auto& [seed, section] : sections)
    if (const Table* table = find_table(section, id)) {
      tables.push_back(table);
      seeds.push_back(seed);
    }
  Table whole = *tables.front();
  whole.rows.clear();
  whole.errors = "Each figure is the mean over seeds " + list_of(seeds) +
                 " of the seed's own figure ± its sample standard deviation over the seeds; n counts the items of all "
                 "seeds. A figure without ± was measured once; – was not measured.";
  for (const Key& key : keys_of(tables)) {
    Row& row = whole.rows.emplace_back();
    for (const Column& column : whole.columns) {
      std::vector<std::pair<int64_t, const Cell*>> cells;
      for (size_t t = 0; t < tables.size(); ++t)
        if (const Cell* found = find_cell(tables[t], key, column)) cells.emplace_back(seeds[t], found);
      row.push_back(combined(cells, find_cell(find_table(fixed, id), key, column), column.over_seeds));
    }
  }
  const auto varies = [](const Cell& cell) {
    const auto* figure = std::get_if<Figure>(&cell);
    return figure && !figure->by_seed.empty();
  };
  const bool seeded = std::ranges::any_of(whole.rows, [&](const Row& row) { return std::ranges::any_of(row, varies); });
  if (const Table* once = find_table(fixed, id); once && !seeded) return *once;
  return whole;
}

// The series of one name in every seed, point by point.
Series combined(const std::string& name, const std::vector<const Series*>& all) {
  std::map<double, std::vector<std::pair<int64_t, Figure>>> points;
  for (size_t s = 0; s < all.size(); ++s)
    for (size_t i = 0; i < all[s]->x.size(); ++i)
      points[all[s]->x[i]].emplace_back(static_cast<int64_t>(s), plain_figure(all[s]->y[i]));
  Series series{name, {}, {}};
  for (const auto& [x, figures] : points) {
    const Figure figure = seed_figure(figures);
    series.x.push_back(x);
    series.y.push_back(figure.value);
    series.error.push_back(figure.seed_deviation);
  }
  return series;
}

Plot combined(const std::vector<const Plot*>& plots, const std::vector<int64_t>& seeds) {
  Plot whole = *plots.front();
  whole.series.clear();
  whole.bars = "sample standard deviation over seeds " + list_of(seeds) + ", around their mean";
  std::vector<std::string> names;
  std::map<std::string, std::vector<const Series*>> series;
  for (const Plot* plot : plots)
    for (const Series& one : plot->series) {
      if (!series.contains(one.name)) names.push_back(one.name);
      series[one.name].push_back(&one);
    }
  for (const std::string& name : names) whole.series.push_back(combined(name, series[name]));
  return whole;
}

// Names of what the seeds' sections hold, in the order of their first appearance.
template <class Items, class Name>
std::vector<std::string> names_of(const std::vector<Seeded>& sections, Items items, Name name) {
  std::vector<std::string> names;
  for (const auto& [seed, section] : sections)
    for (const auto& item : section.*items)
      if (std::ranges::find(names, item.*name) == names.end()) names.push_back(item.*name);
  return names;
}

std::vector<Plot> combined_plots(const std::vector<Seeded>& sections) {
  std::vector<Plot> list;
  for (const std::string& title : names_of(sections, &Section::plots, &Plot::title)) {
    std::vector<const Plot*> plots;
    std::vector<int64_t> seeds;
    for (const auto& [seed, section] : sections)
      for (const Plot& plot : section.plots)
        if (plot.title == title) {
          plots.push_back(&plot);
          seeds.push_back(seed);
        }
    list.push_back(combined(plots, seeds));
  }
  return list;
}

}  // namespace

std::vector<int64_t> seeds_of(const store::Results& results) {
  std::set<int64_t> seeds;
  const UnitSeeds units(results);
  for (const Seed& seed : units.of_units())
    if (seed) seeds.insert(*seed);
  return {seeds.begin(), seeds.end()};
}

store::Results units_of(const store::Results& results, std::optional<int64_t> seed) {
  return kept(results, [&](const std::optional<int64_t>& named) { return named == seed; });
}

store::Results units_of_seed(const store::Results& results, int64_t seed) {
  return kept(results, [&](const std::optional<int64_t>& named) { return !named || *named == seed; });
}

Section over_seeds(const store::Results& results, Section (*make)(const store::Results&)) {
  const auto seeds = seeds_of(results);
  if (seeds.size() < 2) return make(results);
  std::vector<Seeded> sections;
  for (const int64_t seed : seeds) sections.emplace_back(seed, make(units_of_seed(results, seed)));
  const Section fixed = make(units_of(results, std::nullopt));
  Section whole = sections.front().second;
  whole.tables.clear();
  for (const std::string& id : names_of(sections, &Section::tables, &Table::id))
    whole.tables.push_back(combined(id, sections, fixed));
  whole.plots = combined_plots(sections);
  const std::string first = "Seed " + std::to_string(seeds.front());
  for (Example& example : whole.examples) example.title = first + ": " + example.title;
  for (Heatmap& heatmap : whole.heatmaps) heatmap.caption += " " + first + ".";
  return whole;
}

}  // namespace cmc::analysis
