#include <algorithm>
#include <map>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/store/schema.hpp"
#include "pipeline/store/unit_group.hpp"

namespace cmc::store {
namespace {

bool is_lower_snake_case(const std::string& name) {
  return !name.empty() && name[0] >= 'a' && name[0] <= 'z' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Collects what is named in one unit and refuses contradictions; every refusal is a bug of the stage that made the
// unit.
class Checker {
 public:
  explicit Checker(std::string where) : where_(std::move(where)) {}

  void require(bool holds, const std::string& name, const std::string& what) const {
    if (!holds) throw Internal({where_ + ": " + name, what, "please report this as a bug"});
  }
  void take_name(const std::string& name) {
    require(is_lower_snake_case(name), name, "is not a lower_snake_case name");
    require(names_.insert(name).second, name, "is given twice");
  }
  void take_dimension(const std::string& name, int64_t length) {
    require(is_lower_snake_case(name), name, "is not a lower_snake_case dimension");
    const auto [known, first] = lengths_.emplace(name, length);
    require(first || known->second == length, name,
            "is a dimension of two lengths (" + std::to_string(known->second) + " and " + std::to_string(length) + ")");
  }
  const std::map<std::string, int64_t>& lengths() const { return lengths_; }
  bool has_name(const std::string& name) const { return names_.contains(name); }

 private:
  std::string where_;
  std::set<std::string> names_;
  std::map<std::string, int64_t> lengths_;
};

void take_dataset(Checker& checker, const Dataset& d) {
  checker.take_name(d.name);
  checker.require(d.dimensions.size() == d.shape.size(), d.name,
                  "names another number of dimensions than its shape has");
  int64_t product = 1;
  for (size_t axis = 0; axis < d.shape.size(); ++axis) {
    checker.require(d.shape[axis] >= 0, d.name, "has a negative length");
    checker.take_dimension(d.dimensions[axis], d.shape[axis]);
    product *= d.shape[axis];
  }
  const auto count = static_cast<int64_t>(std::visit([](const auto& list) { return list.size(); }, d.values));
  checker.require(product == count, d.name,
                  "has " + std::to_string(count) + " values for a shape of " + std::to_string(product));
  checker.require(!d.units.empty(), d.name, "has no units (\"1\" where there is none)");
}

void take_ragged(Checker& checker, const Ragged& r) {
  checker.take_name(r.name + std::string(schema::values_suffix));
  checker.take_name(r.name + std::string(schema::offsets_suffix));
  checker.require(!r.offsets.empty() && r.offsets.front() == 0 && std::is_sorted(r.offsets.begin(), r.offsets.end()) &&
                      r.offsets.back() == r.size(),
                  r.name, "has offsets that do not cut its values into sequences");
  const auto offsets = static_cast<int64_t>(r.offsets.size());
  checker.take_dimension(r.dimension, offsets - 1);
  checker.take_dimension(r.name + "_value", r.size());
  checker.take_dimension(r.name + "_offset", offsets);
}

}  // namespace

void validate(const Unit& unit, const std::string& where) {
  Checker checker(where);
  checker.require(is_lower_snake_case(unit.stage), "stage", "\"" + unit.stage + "\" is not a lower_snake_case name");
  for (const char* reserved : schema::other_groups)
    checker.require(unit.stage != reserved, "stage", "\"" + unit.stage + "\" is the name of another group");
  for (const Dataset& d : unit.datasets) take_dataset(checker, d);
  for (const Ragged& r : unit.ragged) take_ragged(checker, r);
  // A dataset named like a dimension is its coordinate, so it must lie along it and nothing else.
  for (const Dataset& d : unit.datasets)
    checker.require(!checker.lengths().contains(d.name) || d.dimensions == std::vector{d.name}, d.name,
                    "is named like a dimension but does not lie along it alone");
  for (const Ragged& r : unit.ragged)
    for (const auto suffix : {schema::values_suffix, schema::offsets_suffix})
      checker.require(!checker.lengths().contains(r.name + std::string(suffix)), r.name, "is named like a dimension");
}

}  // namespace cmc::store
