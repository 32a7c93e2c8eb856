#include "pipeline/fusion/map_variant.hpp"

#include <array>
#include <string>
#include <utility>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {
constexpr std::array<std::pair<Unmapped, std::string_view>, 3> treatments{{
    {Unmapped::zero, "zero"},
    {Unmapped::minimum, "minimum"},
    {Unmapped::mean, "mean"},
}};
}  // namespace

Unmapped unmapped(std::string_view name) {
  for (const auto& [treatment, known] : treatments)
    if (known == name) return treatment;
  throw BadExperiment(
      {"treatment of unmapped tokens", "\"" + std::string(name) + "\" is unknown", "use zero, minimum or mean"});
}

std::string_view name_of(Unmapped unmapped) {
  for (const auto& [known, name] : treatments)
    if (known == unmapped) return name;
  expect(false, "a treatment of unmapped tokens has a name");
  return {};
}

}  // namespace cmc::fusion
