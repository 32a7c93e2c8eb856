#include "pipeline/fusion/map_variant.hpp"

#include "pipeline/core/named_enum.hpp"

namespace cmc::fusion {
namespace {
constexpr NamedEnum treatments("treatment of unmapped tokens", std::to_array<Named<Unmapped>>({
                                                                   {Unmapped::zero, "zero"},
                                                                   {Unmapped::minimum, "minimum"},
                                                                   {Unmapped::mean, "mean"},
                                                               }));
}  // namespace

Unmapped unmapped(std::string_view name) {
  return treatments.named<BadExperiment>(name);
}

std::string_view name_of(Unmapped unmapped) {
  return treatments.name_of(unmapped);
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
