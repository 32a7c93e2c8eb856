#pragma once
#include <torch/types.h>

#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

struct Embedding {
  torch::Tensor table;         // [own rows, hidden]
  Range own;                   // of the vocabulary; tokens outside give zeros
  bool whole = true;           // `own` is all of it
  double scale = 1.0;          // rounded to the table's type before it multiplies (Gemma)
  int64_t padding_token = -1;  // its embedding gets no gradient; -1: none
};

// [N, hidden] of a plan's tokens, those that are fed back from its `chosen`. Differentiable.
torch::Tensor embed(const Embedding& embedding, const DevicePlan& plan);

}  // namespace cmc::model
