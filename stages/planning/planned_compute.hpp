#pragma once
#include <string>
#include <string_view>

#include "stages/experiment/experiment.hpp"

// What a plan takes the ranks for, which it does not see.
namespace cmc::stages {

// FLOP/s of a rank on processor cores, and on a GPU of its own: nominal, so that only ratios between tasks mean much
// until a finished run's measured times calibrate them.
inline constexpr double nominal_flops = 50e9, nominal_gpu_flops = 50e12;
// Whether the experiment asks for CUDA (compute.device), or would find it here.
bool plans_for_gpus(const Experiment& experiment);
// compute.dtype with "auto" resolved: bfloat16 on CUDA, float32 on a CPU.
bool is_bfloat16(std::string_view dtype, bool cuda);
// What models run in. Rounding differs between them, so its name is part of the key of tasks that run one.
struct ComputeKind {
  bool cuda = false, bfloat16 = false;
  bool deterministic = false;  // compute.deterministic: the same bits each time
};
std::string name_of(const ComputeKind& kind);  // "cpu float32", "cuda bfloat16 deterministic"
ComputeKind compute_kind_of(const Experiment& experiment);
// Seconds to move `tokens` through a model once on processor cores (2 FLOP a parameter and token); Planner::add turns
// them into a GPU's where the experiment runs on these.
double forward_seconds(double parameters, double tokens);

}  // namespace cmc::stages
