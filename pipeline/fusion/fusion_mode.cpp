#include "pipeline/fusion/fusion_mode.hpp"

#include <array>
#include <string>
#include <utility>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {
constexpr std::array<std::pair<FusionMode, std::string_view>, 3> modes{{
    {FusionMode::base_normalized, "base_normalized"},
    {FusionMode::both_normalized, "both_normalized"},
    {FusionMode::raw_sum, "raw_sum"},
}};
}  // namespace

FusionMode fusion_mode(std::string_view name) {
  for (const auto& [mode, known] : modes)
    if (known == name) return mode;
  throw BadExperiment(
      {"fusion mode", "\"" + std::string(name) + "\" is unknown", "use base_normalized, both_normalized or raw_sum"});
}

std::string_view name_of(FusionMode mode) {
  for (const auto& [known, name] : modes)
    if (known == mode) return name;
  expect(false, "a fusion mode has a name");
  return {};
}

}  // namespace cmc::fusion
