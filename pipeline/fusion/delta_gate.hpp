#pragma once
#include <torch/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace cmc::fusion {

// Where a delta counts, told by the base's distribution p of the position; of `disagreement` how much, told by both.
enum class GateRule {
  none,       // everywhere
  plausible,  // at tokens with p >= threshold · max p, or among the threshold · V most probable (ULD, Ji et al. 2024:
              // its published code, whose floor keeps more tokens than its paper says); others get 0
  unsure,     // at positions with max p < threshold (nudging, Fei et al. 2024); others are the base's alone
  disagreement,  // everywhere, alpha times how far it would move p (a simple form of dynamic logit fusion, Fan et al.
                 // 2024, who choose alpha by an optimisation at each step)
};
GateRule gate_rule(std::string_view name);  // throws BadExperiment naming the known ones

struct DeltaGate {
  GateRule rule = GateRule::none;
  double threshold = 0;  // in (0, 1]; of disagreement: none
  bool is_open() const { return rule == GateRule::none; }
};

// Total variation in [0, 1] of softmax(base) and softmax(base + shift), rows [R, V]: [R, 1].
torch::Tensor disagreement(const torch::Tensor& base, const torch::Tensor& shift);

// Of one row on the CPU: whether the position is left to the base alone, and which tokens are plausible, ascending.
bool is_sure(const float* base, int64_t vocabulary, double threshold);
std::vector<int64_t> plausible_tokens(const float* base, int64_t vocabulary, double threshold);

// The same for rows [R, V] by torch operations: [R, 1] or [R, V], true where the delta counts by the base alone.
torch::Tensor counts_at(const torch::Tensor& base, const DeltaGate& gate);

}  // namespace cmc::fusion
