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

MapIndex index_of(const torch::Tensor& map, const MapVariant& variant, int64_t width, int64_t vocabulary,
                  torch::Device device) {
  auto columns = map.defined() ? map : torch::arange(width, torch::dtype(torch::kInt32).device(device));
  columns = columns.narrow(0, 0, std::min(columns.size(0), vocabulary));
  columns = torch::where(columns < 0, torch::full_like(columns, width), columns);
  MapIndex index{torch::constant_pad_nd(columns, {0, vocabulary - columns.size(0)}, width).contiguous(), {}};
  if (variant.one_to_many()) index.owners = torch::repeat_interleave(variant.offsets.diff());
  return index;
}

}  // namespace cmc::fusion
