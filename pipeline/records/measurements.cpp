#include "pipeline/records/measurements.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "pipeline/core/error.hpp"

namespace cmc::records {
namespace {

auto place_of(const Measurement& m) {
  return std::tuple(m.system, m.set, m.metric, m.item);
}

// The rows of one place. Not std::ranges::equal_range: Clang 14 and 15 cannot read what GCC 12's library returns.
template <class Place, class PlaceOf>
std::span<const Measurement> among(const std::vector<Measurement>& rows, const Place& place, PlaceOf place_of) {
  return {std::ranges::lower_bound(rows, place, {}, place_of), std::ranges::upper_bound(rows, place, {}, place_of)};
}

// Codes by first appearance → codes by order.
template <class Known, class Code>
std::vector<Code> in_order(Known& known) {
  std::vector<Code> places(known.size());
  Code next = 0;
  for (auto& [name, code] : known) {
    places[static_cast<size_t>(code)] = next;
    code = next++;
  }
  return places;
}

}  // namespace

int32_t Measurements::code(const System& system) {
  return known_.try_emplace(system, static_cast<int32_t>(known_.size())).first->second;
}

int16_t Measurements::set_code(const std::string& set) {
  expect(known_sets_.size() < std::numeric_limits<int16_t>::max(), "sets are few");
  return known_sets_.try_emplace(set, static_cast<int16_t>(known_sets_.size())).first->second;
}

void Measurements::add(int32_t system, int16_t set, int64_t item, int metric, double value) {
  if (std::isfinite(value)) rows_.push_back({system, set, static_cast<int16_t>(metric), item, value});
}

void Measurements::sort() {
  std::ranges::stable_sort(rows_, {}, place_of);
  const auto later = std::unique(rows_.rbegin(), rows_.rend(),
                                 [](const auto& a, const auto& b) { return place_of(a) == place_of(b); });
  rows_.erase(rows_.begin(), later.base());
}

void Measurements::finish() {
  const auto systems = in_order<std::map<System, int32_t>, int32_t>(known_);
  const auto sets = in_order<std::map<std::string, int16_t, std::less<>>, int16_t>(known_sets_);
  for (const auto& [system, code] : known_) systems_.push_back(system);
  for (const auto& [set, code] : known_sets_) sets_.push_back(set);
  for (auto& row : rows_)
    row.system = systems[static_cast<size_t>(row.system)], row.set = sets[static_cast<size_t>(row.set)];
  sort();
  add_wins();
}

// Where a system finds the reference likelier than its target alone does.
void Measurements::add_wins() {
  const auto plain = find_set(name_of(Prompts::plain));
  if (!plain) return;
  const int reference = metric_code(metric::reference), wins = metric_code(metric::wins);
  const auto before = static_cast<std::ptrdiff_t>(rows_.size());
  std::vector<Measurement> added;
  for (int32_t system = 0; system < std::ssize(systems_); ++system) {
    if (systems_[static_cast<size_t>(system)].is_vanilla()) continue;
    const System alone = systems_[static_cast<size_t>(system)].vanilla();
    std::span<const Measurement> theirs;
    for (const System& each : {alone, alone.without_seed()})
      if (const auto vanilla = find(each); vanilla && theirs.empty()) theirs = of(*vanilla, *plain, reference);
    auto other = theirs.begin();
    for (const auto& mine : of(system, *plain, reference)) {
      while (other != theirs.end() && other->item < mine.item) ++other;
      if (other == theirs.end() || other->item != mine.item) continue;
      const double difference = mine.value - other->value;
      added.push_back({system, *plain, static_cast<int16_t>(wins), mine.item,
                       difference > 0   ? 100.0
                       : difference < 0 ? 0.0
                                        : 50.0});
    }
  }
  rows_.insert(rows_.end(), added.begin(), added.end());
  std::ranges::sort(rows_.begin() + before, rows_.end(), {}, place_of);
  std::ranges::inplace_merge(rows_, rows_.begin() + before, {}, place_of);
}

std::optional<int32_t> Measurements::find(const System& system) const {
  const auto found = known_.find(system);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int16_t> Measurements::find_set(std::string_view set) const {
  const auto found = known_sets_.find(set);
  return found == known_sets_.end() ? std::nullopt : std::optional(found->second);
}

std::span<const Measurement> Measurements::of(int32_t system, int16_t set) const {
  return among(rows_, std::pair(system, set), [](const Measurement& m) { return std::pair(m.system, m.set); });
}

std::span<const Measurement> Measurements::of(int32_t system, int16_t set, int metric) const {
  return among(rows_, std::tuple(system, set, static_cast<int16_t>(metric)),
               [](const Measurement& m) { return std::tuple(m.system, m.set, m.metric); });
}

std::vector<int64_t> Measurements::seeds() const {
  std::set<int64_t> seeds;
  for (const auto& system : systems_)
    if (system.seed) seeds.insert(*system.seed);
  return {seeds.begin(), seeds.end()};
}

View::View(const Measurements& all, std::optional<int64_t> seed, Holds holds) : all_(all), seed_(seed) {
  const auto& systems = all.systems();
  for (size_t code = 0; code < systems.size(); ++code) {
    if (holds == Holds::one_seed && systems[code].seed && systems[code].seed != seed) continue;
    auto& known = codes_[systems[code].without_seed()];
    known.insert(systems[code].seed ? known.begin() : known.end(), static_cast<int32_t>(code));
  }
}

std::vector<System> View::systems() const {
  std::vector<System> systems;
  for (const auto& [system, codes] : codes_) systems.push_back(system);
  return systems;
}

std::span<const int32_t> View::codes(const System& system) const {
  const auto found = codes_.find(system.without_seed());
  return found == codes_.end() ? std::span<const int32_t>{} : found->second;
}

std::span<const Measurement> View::of(const System& system, std::string_view set, std::string_view metric) const {
  const auto where = all_.find_set(set);
  if (!where) return {};
  for (const int32_t code : codes(system))
    if (const auto rows = all_.of(code, *where, metric_code(metric)); !rows.empty()) return rows;
  return {};
}

std::vector<double> View::values(const System& system, std::string_view set, std::string_view metric) const {
  std::vector<double> values;
  for (const auto& row : of(system, set, metric)) values.push_back(row.value);
  return values;
}

int64_t View::items(const System& system, std::string_view set) const {
  const auto where = all_.find_set(set);
  if (!where) return 0;
  std::set<int64_t> items;
  for (const int32_t code : codes(system)) {
    for (const auto& row : all_.of(code, *where)) items.insert(row.item);
    if (!items.empty()) break;
  }
  return static_cast<int64_t>(items.size());
}

}  // namespace cmc::records
