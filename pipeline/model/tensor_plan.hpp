#pragma once
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

enum class Fill { weights, norm, bias, buffer };  // buffer: float32, no parameter

// What a rank's gradient of a tensor that several ranks hold is.
enum class RankGradient {
  complete,       // the whole model's: all ranks compute alike with it
  partial,        // of what this rank computes: those of all that hold it are added
  of_first_rank,  // the whole model's, but the others hold zeros in its place, which stay
};

// A tensor of the model: what is held of the stored one, as a matrix [outputs, inputs] or a vector.
struct TensorPlan {
  std::string name;  // of the stored tensor
  Fill kind = Fill::weights;
  Slices rows, columns;              // the stored shape is [rows.whole, columns.whole], of a vector [rows.whole]
  bool transposed = false;           // it is stored [inputs, outputs]
  int64_t expert = -1, experts = 0;  // it is one of a stored stack [experts, ..]
  RankGradient gradient = RankGradient::complete;
};

// The shape of the stored tensor where what is held of it has so many dimensions, and of it [outputs, inputs]: what is
// stored transposed turned round, of a stack the expert's.
std::vector<int64_t> stored_shape(const TensorPlan& plan, int64_t dimensions);
torch::Tensor stored_matrix(const torch::Tensor& stored, const TensorPlan& plan);

}  // namespace cmc::model
