#include "pipeline/fusion/fusion_mode.hpp"

#include "pipeline/core/named_enum.hpp"

namespace cmc::fusion {
namespace {
constexpr NamedEnum modes("fusion mode", std::to_array<Named<FusionMode>>({
                                             {FusionMode::base_normalized, "base_normalized"},
                                             {FusionMode::both_normalized, "both_normalized"},
                                             {FusionMode::raw_sum, "raw_sum"},
                                         }));
}  // namespace

FusionMode fusion_mode(std::string_view name) {
  return modes.named<BadExperiment>(name);
}

std::string_view name_of(FusionMode mode) {
  return modes.name_of(mode);
}

}  // namespace cmc::fusion
