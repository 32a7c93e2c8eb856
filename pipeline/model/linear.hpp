#pragma once
#include <torch/torch.h>

#include <memory>
#include <vector>

#include "pipeline/model/packed_gemm.hpp"

namespace cmc::model {

// One or several linear layers that read the same input, their weights in one block: query, key and value; gate and up.
struct Linear {
  torch::Tensor weight;                // [sum of outputs, inputs]
  torch::Tensor bias;                  // [sum of outputs]; undefined: none
  std::vector<torch::Tensor> weights;  // the layers' own parameters: rows of `weight`, sharing its memory
  std::vector<torch::Tensor> biases;

  // x [N, inputs] → [N, sum of outputs]. Gradients reach the own parameters.
  torch::Tensor operator()(const torch::Tensor& x) const;
  // Forgets the packed copy, for weights that change without torch's notice.
  void unpack() { packed_.reset(); }

 private:
  torch::Tensor multiply_packed(const torch::Tensor& x) const;
  mutable std::unique_ptr<PackedMatrix> packed_;  // made at first use on a CPU; of the weights at `packed_version_`
  mutable int64_t packed_version_ = -1;
};

}  // namespace cmc::model
