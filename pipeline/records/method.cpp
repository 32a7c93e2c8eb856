#include "pipeline/records/method.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::records {

const MethodTraits& traits_of(Method method) {
  static constexpr MethodTraits none{};
  const auto found = std::ranges::find(method_traits, method, &MethodTraits::method);
  return found == method_traits.end() ? none : *found;
}

Method method_named(std::string_view name, const std::string& where) {
  if (const auto method = find_named<Method>(name)) return *method;
  std::string known;
  for (const auto& traits : method_traits) known += (known.empty() ? "" : ", ") + std::string(traits.name);
  throw BadData({where, "names the method \"" + std::string(name) + "\"", "known: " + known});
}

Method method_of(Role role) {
  const auto serves = [&](const MethodTraits& traits) { return traits.adds_delta && traits.role == role; };
  return std::ranges::find_if(method_traits, serves)->method;
}

std::vector<std::string_view> methods_for(Purpose purpose) {
  std::vector<std::string_view> names;
  for (const auto& traits : method_traits)
    if (purpose == Purpose::instruct ? traits.instruct : traits.unlearn) names.push_back(traits.name);
  return names;
}

std::vector<std::string_view> training_methods() {
  std::vector<std::string_view> names;
  for (const auto& traits : method_traits)
    if (traits.trains_target) names.push_back(traits.name);
  return names;
}

}  // namespace cmc::records
