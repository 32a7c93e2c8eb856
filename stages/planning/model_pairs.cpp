#include "stages/planning/model_pairs.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::stages {

std::vector<ModelPair> model_pairs(const Experiment& experiment) {
  std::vector<ModelPair> pairs;
  for (const auto& pair : experiment.similarity.pairs) {
    const size_t colon = pair.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == pair.size())
      throw BadExperiment(
          {"similarity.pairs", "holds " + pair + ", which is not reference:other", "write e.g. llama13b:llama7b"});
    pairs.push_back({pair.substr(0, colon), pair.substr(colon + 1)});
  }
  return pairs;
}

}  // namespace cmc::stages
