#include "pipeline/model/op_path.hpp"

#include "pipeline/cpu/instruction_set.hpp"
#include "pipeline/model/device_ops.hpp"

namespace cmc::model {

namespace {

thread_local std::optional<OpPath> forced;

}  // namespace

OpPath path_of(const torch::Tensor& x) {
  const bool has_loops =
      x.device().is_cpu() && x.scalar_type() == torch::kFloat32 && cpu::instruction_set() != cpu::InstructionSet::none;
  if (torch::GradMode::is_enabled())
    return has_loops && forced.value_or(OpPath::cpu_gradients) == OpPath::cpu_gradients ? OpPath::cpu_gradients
                                                                                        : OpPath::torch;
  if (forced && *forced != OpPath::cpu_gradients) return *forced;
  if (has_loops) return OpPath::cpu_kernels;
  if (device::takes(x)) return OpPath::device_kernels;
  return OpPath::torch;
}

ForcedPath::ForcedPath(OpPath path) : before_(forced) {
  forced = path;
}
ForcedPath::~ForcedPath() {
  forced = before_;
}

}  // namespace cmc::model
