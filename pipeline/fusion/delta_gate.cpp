#include "pipeline/fusion/delta_gate.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

// Tokens that are plausible whatever their probability.
int64_t floor_of(int64_t vocabulary, double threshold) {
  return std::max<int64_t>(1, static_cast<int64_t>(threshold * static_cast<double>(vocabulary)));
}

float lowest_plausible(float top, double threshold) {
  return top + static_cast<float>(std::log(threshold));
}

}  // namespace

GateRule gate_rule(std::string_view name) {
  if (name.empty() || name == "none") return GateRule::none;
  if (name == "plausible") return GateRule::plausible;
  if (name == "unsure") return GateRule::unsure;
  if (name == "disagreement") return GateRule::disagreement;
  throw BadExperiment(
      {"fusion.gate", "\"" + std::string(name) + "\" is not a gate", "use none, plausible, unsure or disagreement"});
}

torch::Tensor disagreement(const torch::Tensor& base, const torch::Tensor& shift) {
  return (base.softmax(1) - (base + shift).softmax(1)).abs_().sum(1, true).mul_(0.5);
}

bool is_sure(const float* base, int64_t vocabulary, double threshold) {
  const float top = *std::max_element(base, base + vocabulary);
  double sum = 0;
  for (int64_t v = 0; v < vocabulary; ++v) sum += std::exp(static_cast<double>(base[v]) - top);
  return 1.0 / sum >= threshold;
}

std::vector<int64_t> plausible_tokens(const float* base, int64_t vocabulary, double threshold) {
  std::vector<float> ranked(base, base + vocabulary);
  const auto last = ranked.begin() + floor_of(vocabulary, threshold) - 1;
  std::nth_element(ranked.begin(), last, ranked.end(), std::greater<>());
  const float top = *std::max_element(ranked.begin(), last + 1);
  const float least = std::min(*last, lowest_plausible(top, threshold));
  std::vector<int64_t> tokens;
  for (int64_t v = 0; v < vocabulary; ++v)
    if (base[v] >= least) tokens.push_back(v);
  return tokens;
}

torch::Tensor counts_at(const torch::Tensor& base, const DeltaGate& gate) {
  const auto top = base.amax(1, true);
  if (gate.rule == GateRule::unsure)
    return (base.to(torch::kFloat64) - top).exp_().sum(1, true).reciprocal_() < gate.threshold;
  const auto last = std::get<0>(base.topk(floor_of(base.size(1), gate.threshold), 1)).narrow(1, -1, 1);
  return base >= torch::minimum(last, top + static_cast<float>(std::log(gate.threshold)));
}

}  // namespace cmc::fusion
