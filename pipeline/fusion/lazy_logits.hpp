#pragma once
#include <torch/types.h>

#include <memory>

#include "pipeline/cpu/packed_gemm.hpp"
#include "pipeline/model/kept_memory.hpp"

namespace cmc::fusion {

// Logits [K, V] float32 of some rows. Where a CPU's kernels multiply the states by the output layer, that waits until
// somebody asks for all of them: whoever can do with a few reads these alone. Copies share what has been made.
class LazyLogits {
 public:
  LazyLogits() = default;
  LazyLogits(torch::Tensor made) : made_(std::make_shared<torch::Tensor>(std::move(made))) {}  // NOLINT: is logits
  // states [K, inputs of `matrix`] float32 on the CPU. `memory`: where the logits shall lie; null: memory of their own.
  LazyLogits(torch::Tensor states, std::shared_ptr<const cpu::PackedMatrix> matrix,
             std::shared_ptr<model::KeptMemory> memory);

  int64_t rows() const { return waits() ? states_.size(0) : made_->size(0); }
  int64_t width() const { return matrix_ != nullptr ? matrix_->outputs() : made_->size(1); }  // V
  const torch::Tensor& whole() const;

  // Whether nobody has asked for all of them yet; if so they are states() times matrix().
  bool waits() const { return matrix_ != nullptr && !made_->defined(); }
  const torch::Tensor& states() const { return states_; }
  const std::shared_ptr<const cpu::PackedMatrix>& matrix() const { return matrix_; }

 private:
  std::shared_ptr<torch::Tensor> made_ = std::make_shared<torch::Tensor>();
  torch::Tensor states_;
  std::shared_ptr<const cpu::PackedMatrix> matrix_;
  std::shared_ptr<model::KeptMemory> memory_;
};

}  // namespace cmc::fusion
