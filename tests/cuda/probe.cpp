// Compares a device with the CPU; needs no files. One JSON line a check: {"check", "passed", "worst", "allowed"}.
//   probe_cuda logits|fusion|texts|scores|training|all cuda|cpu
// Exit code 1 where a check has failed.
#include <torch/cuda.h>

#include <iostream>
#include <map>

#include "pipeline/model/device_memory.hpp"
#include "tests/cuda/checks.hpp"

int main(int argc, char** argv) {
  using namespace cmc::device_checks;
  const std::vector<std::pair<std::string, void (*)(torch::Device)>> groups = {{"logits", check_logits},
                                                                               {"fusion", check_fusion},
                                                                               {"texts", check_texts},
                                                                               {"scores", check_scores},
                                                                               {"training", check_training}};
  const std::string wanted = argc > 1 ? argv[1] : "all", where = argc > 2 ? argv[2] : "cuda";
  bool known = wanted == "all";
  for (const auto& [name, check] : groups) known = known || name == wanted;
  if (!known || (where != "cuda" && where != "cpu")) {
    std::cerr << "usage: probe_cuda logits|fusion|texts|scores|training|all cuda|cpu\n";
    return 2;
  }
  if (where == "cuda" && !torch::cuda::is_available()) {
    std::cerr << "no CUDA device is visible\n";
    return 66;
  }
  const torch::Device device = where == "cuda" ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
  cmc::model::forbid_reduced_sums();
  for (const auto& [name, check] : groups)
    if (wanted == "all" || wanted == name) guarded(name, [&, &check = check] { check(device); });
  return all_passed() ? 0 : 1;
}
