#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/core/error.hpp"

namespace cmc {

// An enum's values and the names that files and messages give them, written once:
//   constexpr NamedEnum modes("fusion mode", std::to_array<Named<FusionMode>>({{FusionMode::raw_sum, "raw_sum"}}));
template <class Enum>
struct Named {
  Enum value;
  std::string_view name;
};

template <class Enum, size_t N>
class NamedEnum {
 public:
  // `what`: of an unknown name, for people.
  constexpr NamedEnum(std::string_view what, const std::array<Named<Enum>, N>& all) : what_(what), all_(all) {}

  constexpr const std::array<Named<Enum>, N>& all() const { return all_; }
  std::string names() const {  // "a, b, c", for messages
    std::string list;
    for (const auto& [value, name] : all_) (list += list.empty() ? "" : ", ") += name;
    return list;
  }

  // Throws Internal for a value that is not listed.
  std::string_view name_of(Enum value) const {
    for (const auto& [known, name] : all_)
      if (known == value) return name;
    throw Internal({std::string(what_), "has no name for " + std::to_string(static_cast<int>(value)), ""});
  }
  std::optional<Enum> find(std::string_view name) const {
    for (const auto& [value, known] : all_)
      if (known == name) return value;
    return std::nullopt;
  }
  // Throws Failure (BadExperiment, BadData, Usage) naming the known ones.
  template <class Failure>
  Enum named(std::string_view name) const {
    if (const auto value = find(name)) return *value;
    throw Failure({std::string(what_), "\"" + std::string(name) + "\" is unknown", "known are " + names()});
  }

 private:
  std::string_view what_;
  std::array<Named<Enum>, N> all_;
};

}  // namespace cmc
