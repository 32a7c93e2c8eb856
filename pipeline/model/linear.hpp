#pragma once
#include <torch/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/cpu/packed_gemm.hpp"
#include "pipeline/model/adapter.hpp"
#include "pipeline/model/kept_memory.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// One or several linear layers that read the same input, their weights in one block: query, key and value; gate and up.
// Copies share their tensors.
struct Linear {
  torch::Tensor weight;                // [sum of outputs, inputs]
  torch::Tensor bias;                  // [sum of outputs]; undefined: none
  std::vector<torch::Tensor> weights;  // the layers' own parameters: rows of `weight`, sharing its memory
  std::vector<torch::Tensor> biases;
  std::vector<std::string> modules;  // the layers' Hugging Face names: "model.layers.0.self_attn.q_proj"
  std::vector<Adapter> adapters;     // one for each layer, or none at all
  std::vector<Slices> rows;          // which rows of the layers' stored weights these are, by layer
  Slices columns;                    // and which columns
  bool transposed = false;           // they are stored [inputs, outputs]

  bool is_there() const { return weight.defined(); }

  // x [N, inputs] → [N, sum of outputs]. Gradients reach the own parameters and the adapters.
  torch::Tensor operator()(const torch::Tensor& x, std::optional<uint64_t> dropout_seed = std::nullopt) const;
  // The same in float32, straight from the matmul where the device's can (an output layer's logits). `memory`: where
  // its kernels shall write them; null: memory of their own.
  torch::Tensor wide(const torch::Tensor& x, KeptMemory* memory = nullptr) const;
  // The weights as the kernels of a CPU read them, made at first use; null where x is not multiplied by these: another
  // path, or weights in training, which change each step.
  std::shared_ptr<const cpu::PackedMatrix> packed(const torch::Tensor& x) const;
  // Forgets the packed copy, for weights that change without torch's notice.
  void unpack() { packed_.reset(); }

 private:
  // Whether followed_linear() takes it. `drops`: adapters may drop inputs.
  bool is_followed(const torch::Tensor& x, bool drops) const;
  torch::Tensor multiply(const torch::Tensor& x, KeptMemory* memory = nullptr) const;
  // Of the weights at `packed_version_`.
  mutable std::shared_ptr<const cpu::PackedMatrix> packed_;
  mutable int64_t packed_version_ = -1;
};

}  // namespace cmc::model
