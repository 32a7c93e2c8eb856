#pragma once
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/pass_plan.hpp"

namespace cmc::model {

// Whether LibTorch's flash attention (Dao 2023) takes these heads: CUDA, bfloat16 or float16, head_dim a multiple of 8
// up to 256, no soft cap, no bias of scores and no sinks.
bool takes_flash(const torch::Tensor& query, const checkpoint::ModelConfig& config);

// Causal attention of all spans of a plan in one launch: query [N, heads, head_dim] over `keys` and `values`
// [rows, kv_heads, head_dim], a cache or the packed tokens themselves, where the plan's key starts and lengths say. No
// mask, no padding, no copies; a span sees its past and itself, of that the last `window` (0: all). → [N, heads *
// head_dim]
torch::Tensor flash_attend(const torch::Tensor& query, const torch::Tensor& keys, const torch::Tensor& values,
                           const DevicePlan& plan, double scale, int64_t window);

}  // namespace cmc::model
