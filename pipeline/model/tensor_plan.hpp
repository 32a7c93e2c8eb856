#pragma once
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// The shape of the stored tensor where what is held of it has so many dimensions, and of it [outputs, inputs]: what is
// stored transposed turned round, of a stack the expert's.
std::vector<int64_t> stored_shape(const TensorPlan& plan, int64_t dimensions);
torch::Tensor stored_matrix(const torch::Tensor& stored, const TensorPlan& plan);

}  // namespace cmc::model
