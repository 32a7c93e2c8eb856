#include "pipeline/records/stress.hpp"

#include <charconv>

namespace cmc::records {

std::string describe(const Stress& stress) {
  return std::string(name_of(stress.test)) + (stress.epochs > 0 ? " " + std::to_string(stress.epochs) : "");
}

std::string stressed_set(const std::string& set, const Stress& stress) {
  return set + std::string(stress_separator) + describe(stress);
}

std::string base_set(const std::string& set) {
  return set.substr(0, set.find(stress_separator));
}

std::optional<Stress> stress_on(const std::string& set) {
  const size_t at = set.find(stress_separator);
  if (at == std::string::npos) return std::nullopt;
  const std::string shown = set.substr(at + stress_separator.size()), name = shown.substr(0, shown.find(' '));
  const auto test = find_named<StressTest>(name);
  if (!test) return std::nullopt;
  Stress stress{*test, 0, ""};
  if (shown.size() > name.size())
    std::from_chars(shown.data() + name.size() + 1, shown.data() + shown.size(), stress.epochs);
  return stress;
}

}  // namespace cmc::records
