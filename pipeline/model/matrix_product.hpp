#pragma once
#include <torch/types.h>

#include "pipeline/cpu/packed_gemm.hpp"

namespace cmc::model {

// Whether the product below takes this matrix: [rows, columns] float32 on a CPU, one of its strides 1.
bool takes_product(const torch::Tensor& matrix);

// out (+)= factor · left · right, views welcome: transposed factors, columns of a wider `out`. No gradients.
void product_into(torch::Tensor out, const torch::Tensor& left, const torch::Tensor& right, double factor = 1.0,
                  bool adds = false);

// out = x · matrixᵀ; x [rows, inputs] and out [rows, outputs] float32, contiguous. No gradients.
void packed_product_into(torch::Tensor out, const torch::Tensor& x, const cpu::PackedMatrix& matrix);

// Adds factor · left · right, a gradient, to the parameter's `grad` where it has one. → what autograd is to add: the
// product where there was no `grad`, else undefined.
torch::Tensor gradient_product(const torch::Tensor& parameter, const torch::Tensor& left, const torch::Tensor& right,
                               double factor = 1.0);

}  // namespace cmc::model
