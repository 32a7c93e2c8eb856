#pragma once
#include <vector>

#include "analysis/record.hpp"
#include "pipeline/records/stress.hpp"

namespace cmc::analysis {

// The stress tests that were run or are planned, in the order of records::StressTest.
std::vector<records::Stress> stress_tests(const Record& record);

}  // namespace cmc::analysis
