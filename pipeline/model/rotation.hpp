#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/rotation_table.hpp"

namespace cmc::model {

// What the tokens of one pass turn by.
class Rotation {
 public:
  // From a table that holds every position of the pass.
  Rotation(const RotationTable& table, const DevicePlan& plan) : table_(table.table()), rows_(plan.positions) {}
  // Dynamic NTK scaling and longrope: each span turns by its own length, whatever else is in the batch. Made on the
  // host.
  Rotation(const checkpoint::Rope& rope, RotatedPart layout, const DevicePlan& plan, torch::Device device);

  const torch::Tensor& table() const { return table_; }  // [2, P, head_dim / 2] float32
  const torch::Tensor& rows() const { return rows_; }    // [N] int32: the row of the table for each token
  // The rows of all tokens in `dtype`, [2, N, head_dim / 2]; made once a pass.
  const torch::Tensor& packed(torch::Dtype dtype) const;

 private:
  torch::Tensor table_, rows_;
  mutable torch::Tensor packed_;
};

}  // namespace cmc::model
