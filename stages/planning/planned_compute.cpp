#include "stages/planning/planned_compute.hpp"

#include <torch/cuda.h>

namespace cmc::stages {

bool plans_for_gpus(const Experiment& experiment) {
  const std::string& device = experiment.compute.device;
  return device == "cuda" || (device == "auto" && torch::cuda::is_available());
}

bool is_bfloat16(std::string_view dtype, bool cuda) {
  return dtype == "auto" ? cuda : dtype == "bfloat16";
}

std::string name_of(const ComputeKind& kind) {
  return std::string(kind.cuda ? "cuda " : "cpu ") + (kind.bfloat16 ? "bfloat16" : "float32") +
         (kind.deterministic ? " deterministic" : "");
}

ComputeKind compute_kind_of(const Experiment& experiment) {
  const bool cuda = plans_for_gpus(experiment);
  return {cuda, is_bfloat16(experiment.compute.dtype, cuda), experiment.compute.deterministic};
}

double forward_seconds(double parameters, double tokens) {
  return 2 * parameters * tokens / nominal_flops;
}

}  // namespace cmc::stages
