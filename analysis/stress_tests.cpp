#include "analysis/stress_tests.hpp"

#include <set>

namespace cmc::analysis {

std::vector<records::Stress> stress_tests(const Record& record) {
  std::set<records::Stress> tests;
  const auto add = [&](const std::string& set) {
    if (const auto stress = records::stress_on(set)) tests.insert(*stress);
  };
  for (const auto& set : record.measurements().sets()) add(set);
  for (const auto& row : record.plan()) add(row.labels.set);
  return {tests.begin(), tests.end()};
}

}  // namespace cmc::analysis
