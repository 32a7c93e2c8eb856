#pragma once
#include <string>
#include <vector>

#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// Two models whose logit shifts are compared, on texts of the first.
struct ModelPair {
  std::string reference, other;
};
// similarity.pairs, "a:b, c:d". Throws BadExperiment for a pair without a colon.
std::vector<ModelPair> model_pairs(const Experiment& experiment);

}  // namespace cmc::stages
