#include "pipeline/model/tensor_plan.hpp"

#include <algorithm>

namespace cmc::model {

torch::Tensor stored_matrix(const torch::Tensor& stored, const TensorPlan& plan) {
  const torch::Tensor own = plan.expert >= 0 ? stored.select(0, plan.expert) : stored;
  return plan.transposed ? own.t() : own;
}

std::vector<int64_t> stored_shape(const TensorPlan& plan, int64_t dimensions) {
  std::vector<int64_t> shape = {plan.rows.whole, plan.columns.whole};
  shape.resize(static_cast<size_t>(dimensions));
  if (plan.transposed) std::reverse(shape.begin(), shape.end());
  if (plan.expert >= 0) shape.insert(shape.begin(), plan.experts);
  return shape;
}

}  // namespace cmc::model
