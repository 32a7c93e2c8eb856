#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/records/metric.hpp"
#include "pipeline/records/system.hpp"
#include "pipeline/records/task_labels.hpp"

namespace cmc::records {

// One value: of a system on an item of a set, by a metric. The first three are codes.
struct Measurement {
  int32_t system = 0;
  int16_t set = 0, metric = 0;
  int64_t item = 0;
  double value = 0;
};

// All that was measured, long form. What was not measured (NaN) is not in it.
class Measurements {
 public:
  int32_t code(const System& system);
  int16_t set_code(const std::string& set);
  void add(int32_t system, int16_t set, int64_t item, int metric, double value);
  // Puts them in order, by system, set, metric, item; of two values for one item the later counts. Adds what compares a
  // system with its target alone. Call once, before what is below.
  void finish();

  const std::vector<System>& systems() const { return systems_; }  // by code, in their order
  const std::vector<std::string>& sets() const { return sets_; }   // by code, sorted
  const std::vector<Measurement>& rows() const { return rows_; }
  std::optional<int32_t> find(const System& system) const;
  std::optional<int16_t> find_set(std::string_view set) const;
  // In the order of items; empty where there are none.
  std::span<const Measurement> of(int32_t system, int16_t set, int metric) const;
  std::span<const Measurement> of(int32_t system, int16_t set) const;  // every metric's
  // Seeds that systems name, ascending.
  std::vector<int64_t> seeds() const;

 private:
  void sort();
  void add_wins();

  std::map<System, int32_t> known_;
  std::map<std::string, int16_t, std::less<>> known_sets_;
  std::vector<System> systems_;
  std::vector<std::string> sets_;
  std::vector<Measurement> rows_;
};

// What one seed measured, with what stands for all seeds. Systems are named without their seed.
class View {
 public:
  // no seed: of what stands for all alone; with `everything` all there is, where that is of one seed or none.
  enum class Holds { one_seed, everything };
  View(const Measurements& all, std::optional<int64_t> seed, Holds holds = Holds::one_seed);

  std::optional<int64_t> seed() const { return seed_; }
  std::vector<System> systems() const;
  std::span<const Measurement> of(const System& system, std::string_view set, std::string_view metric) const;
  std::vector<double> values(const System& system, std::string_view set, std::string_view metric) const;
  // Whether the system has any value on the set; how many items have one.
  int64_t items(const System& system, std::string_view set) const;
  const Measurements& all() const { return all_; }
  // The system's codes: the seed's own, then what stands for all seeds, as what needs no training does.
  std::span<const int32_t> codes(const System& system) const;

 private:
  const Measurements& all_;
  std::optional<int64_t> seed_;
  std::map<System, std::vector<int32_t>> codes_;
};

// Units, one after the other, as measurements. `seeds`: of their tasks.
class Measurer {
 public:
  explicit Measurer(const Seeds& seeds) : seeds_(seeds) {}
  // Throws BadData naming the file where a column is missing. Units of unknown stages are passed over.
  void take(const store::Unit& unit);
  Measurements finish();

 private:
  const Seeds& seeds_;
  Measurements measurements_;
};

// The set a training's figures stand under: what it is for, and as what: "training: instruct (expert)".
std::string training_set(const std::string& stage, const Json& task);
inline constexpr std::string_view training_prefix = "training: ";
inline constexpr std::string_view map_set = "token map", published_map_set = "token map, as published";

}  // namespace cmc::records
