#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/pass_plan.hpp"

namespace cmc::model {

// Causal attention within each span, as autograd follows it: nothing between scores and output is kept but the
// logarithm of each query's sum of exponentials, from which the backward pass computes the shares again (Dao et al.
// 2022). `joined` [N, (heads + 2 kv_heads) * head_dim] float32 on a CPU: query, key and value heads; a query sees the
// last `window` keys up to its own (0: all). → [N, heads * head_dim]. The same numbers for any number of threads.
torch::Tensor attend_spans(const torch::Tensor& joined, const checkpoint::ModelConfig& config,
                           const std::vector<Placement>& spans, double scale, int64_t window);

}  // namespace cmc::model
