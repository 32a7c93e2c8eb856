#pragma once
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "pipeline/model/tensor_group.hpp"
#include "pipeline/model/tensor_plan.hpp"

namespace cmc::model {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// What is trained, of which each rank of a group holds parts: how its values make up the whole model's. Of a group of
// one it is the whole model's already. All of it is collective. "Values" are tensors shaped like the trained
// ones, in the order of `plans`: themselves, their gradients, an optimiser's moments.
class TrainedParts {
 public:
  TrainedParts() = default;
  TrainedParts(std::vector<TensorPlan> plans, TensorGroup group, torch::Device device);

  // Gradients of what each rank computed, in place, become those of the whole model: what several ranks hold (a LoRA
  // factor of split inputs' outputs, a key/value head that queries of two ranks read) has one gradient for all.
  void complete(const std::vector<torch::Tensor>& gradients) const;
  // The L2 norm of the whole model's values; the same bits on every rank.
  double norm(const std::vector<torch::Tensor>& values) const;
  // Values as a checkpoint stores them: under its names, rows and columns in its order, stacks of experts together. Of
  // a split model on the first rank, on the host; nothing elsewhere.
  NamedTensors as_stored(const std::vector<torch::Tensor>& values) const;

 private:
  struct Held {
    bool is_shared = false;  // some of it is held by another rank too, or twice
    // Over what is held, broadcasting over the tensor: 1 / how often it is held, and 1 where this is the first rank
    // that holds it, else 0.
    torch::Tensor share, is_first;
  };
  void find_holders(torch::Device device);

  std::vector<TensorPlan> plans_;
  TensorGroup group_;
  std::vector<Held> held_;  // of a split model, as `plans_`
};

}  // namespace cmc::model
