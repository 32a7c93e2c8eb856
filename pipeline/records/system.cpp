#include "pipeline/records/system.hpp"

#include <cstdio>
#include <tuple>

namespace cmc::records {
namespace {

// What the paper does is not mentioned.
constexpr char usual_mode[] = "base_normalized", usual_map[] = "pm_mined", usual_unmapped[] = "zero";

}  // namespace

std::strong_ordering Fusion::operator<=>(const Fusion& other) const {
  const auto names = [](const Fusion& f) { return std::tie(f.mode, f.map, f.unmapped, f.top, f.gate); };
  if (const auto order = names(*this) <=> names(other); order != 0) return order;
  return std::strong_order(gate_threshold, other.gate_threshold);
}

std::strong_ordering System::operator<=>(const System& other) const {
  const auto names = [](const System& s) {
    return std::make_tuple(s.target, s.method, s.delta, describe(s.fusion), s.fusion);
  };
  if (const auto order = names(*this) <=> names(other); order != 0) return order;
  if (const auto order = std::strong_order(strength, other.strength); order != 0) return order;
  return seed <=> other.seed;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string map_method(const std::string& map) {
  return map == top_union ? usual_map : map;
}

std::string describe(const Fusion& fusion) {
  std::string shown;
  const auto add = [&](const std::string& variant) { shown += (shown.empty() ? "" : ", ") + variant; };
  if (!fusion.mode.empty() && fusion.mode != usual_mode) add(fusion.mode);
  if (!fusion.map.empty() && fusion.map != usual_map)
    add(fusion.map + (fusion.top > 0 ? " of the top " + std::to_string(fusion.top) : ""));
  if (!fusion.unmapped.empty() && fusion.unmapped != usual_unmapped) add("unmapped: " + fusion.unmapped);
  if (!fusion.gate.empty())
    add(fusion.gate_threshold > 0 ? "where " + fusion.gate + " " + short_number(fusion.gate_threshold)
                                  : "by " + fusion.gate);
  return shown;
}

std::string describe_addition(const System& system) {
  const std::string method(name_of(system.method)), variant = describe(system.fusion);
  if (!system.adds_delta()) return method;
  std::string how = traits_of(system.method).every_delta ? "" : method;
  if (!variant.empty()) how += (how.empty() ? "" : ", ") + variant;
  return how.empty() ? system.delta : system.delta + " (" + how + ")";
}

std::string describe_curve(const System& system) {
  return system.target + (system.adds_delta() ? " + " : " ") + describe_addition(system);
}

std::string describe(const System& system) {
  return describe_curve(system) + (system.adds_delta() ? ", α " + short_number(system.strength) : "");
}

}  // namespace cmc::records
