#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/core/json.hpp"

namespace cmc::store {

// What a unit took to compute; unset: not recorded.
struct Cost {
  std::optional<double> wall_seconds;       // elapsed
  std::optional<double> device_seconds;     // the devices worked: processor time, or elapsed time × GPUs
  std::optional<double> estimated_seconds;  // by the plan
  std::optional<int64_t> tokens;            // processed
  std::optional<double> flops;              // floating-point operations, estimated
  std::optional<int64_t> peak_bytes;        // of the process that used most
  std::optional<int64_t> ranks;
  std::optional<bool> loaded;  // whether its model had to be loaded first

  bool operator==(const Cost&) const = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("wall_seconds", self.wall_seconds);
    visit("device_seconds", self.device_seconds);
    visit("estimated_seconds", self.estimated_seconds);
    visit("tokens", self.tokens);
    visit("flops", self.flops);
    visit("peak_bytes", self.peak_bytes);
    visit("ranks", self.ranks);
    visit("loaded", self.loaded);
  }
};

// A unit's attribute "cost", and back; throws BadData naming `where` and a field of another type.
Json to_json(const Cost& cost);
Cost cost_from(const Json& json, const std::string& where);

}  // namespace cmc::store
