#include "pipeline/model/matrix_product.hpp"

#include <ATen/Parallel.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/cpu/gemm.hpp"
#include "pipeline/cpu/instruction_set.hpp"

namespace cmc::model {

namespace {

cpu::Factor factor_of(const torch::Tensor& matrix) {
  return {matrix.const_data_ptr<float>(), matrix.stride(0), matrix.stride(1)};
}

}  // namespace

bool takes_product(const torch::Tensor& matrix) {
  return matrix.device().is_cpu() && matrix.scalar_type() == torch::kFloat32 && matrix.dim() == 2 &&
         (matrix.stride(0) == 1 || matrix.stride(1) == 1) && cpu::instruction_set() != cpu::InstructionSet::none;
}

void product_into(torch::Tensor out, const torch::Tensor& left, const torch::Tensor& right, double factor, bool adds) {
  expect(out.size(0) == left.size(0) && out.size(1) == right.size(1) && left.size(1) == right.size(0) &&
             (out.stride(1) == 1 || out.size(1) == 1),
         "the sizes of a product fit");
  const cpu::Product product{out.size(0),
                             left.size(1),
                             out.size(1),
                             factor_of(left),
                             factor_of(right),
                             out.data_ptr<float>(),
                             out.stride(0),
                             static_cast<float>(factor),
                             adds};
  const cpu::Shares shares = cpu::shares_of(product);
  at::parallel_for(0, shares.parts, shares.least,
                   [&](int64_t first, int64_t last) { cpu::multiply(cpu::part_of(product, first, last)); });
}

void packed_product_into(torch::Tensor out, const torch::Tensor& x, const cpu::PackedMatrix& matrix) {
  expect(x.is_contiguous() && out.is_contiguous() && x.size(1) == matrix.inputs() && out.size(0) == x.size(0) &&
             out.size(1) == matrix.outputs(),
         "the sizes of a product fit");
  const int64_t rows = x.size(0);
  const float* from = x.const_data_ptr<float>();
  float* to = out.data_ptr<float>();
  // A thread's share is worth starting it for: about 2 microseconds of products.
  const int64_t products = std::max<int64_t>(1, rows * matrix.inputs() * cpu::PackedMatrix::strip_width);
  at::parallel_for(0, matrix.strips(), std::max<int64_t>(1, 100'000 / products),
                   [&](int64_t first, int64_t last) { matrix.multiply(from, rows, to, first, last); });
}

torch::Tensor gradient_product(const torch::Tensor& parameter, const torch::Tensor& left, const torch::Tensor& right,
                               double factor) {
  const torch::Tensor held = parameter.is_leaf() ? parameter.grad() : torch::Tensor();
  if (held.defined() && held.is_contiguous() && takes_product(held)) {
    product_into(held, left, right, factor, true);
    return {};
  }
  const torch::Tensor own = torch::empty({left.size(0), right.size(1)}, left.options());
  product_into(own, left, right, factor);
  return own;
}

}  // namespace cmc::model
