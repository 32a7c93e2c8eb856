#include "pipeline/model/kept_memory.hpp"

namespace cmc::model {

torch::Tensor KeptMemory::of(at::IntArrayRef sizes, const torch::TensorOptions& options) {
  const int64_t numbers = c10::multiply_integers(sizes);
  if (!options.device().is_cpu()) return torch::empty(sizes, options);
  const bool serves = kept_.defined() && kept_.storage().use_count() == 1 && kept_.numel() >= numbers &&
                      kept_.dtype() == options.dtype();
  if (!serves) {
    kept_ = torch::Tensor();
    kept_ = torch::empty({numbers}, options);
  }
  return kept_.narrow(0, 0, numbers).view(sizes);
}

torch::Tensor numbers_in(KeptMemory* memory, at::IntArrayRef sizes, const torch::TensorOptions& options) {
  return memory != nullptr ? memory->of(sizes, options) : torch::empty(sizes, options);
}

}  // namespace cmc::model
