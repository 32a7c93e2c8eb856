#pragma once
// The kernels layer on tensors: each function launches one kernel on the device's current stream (on a CPU, as tests
// ask for, it runs on the host at once).
#include <torch/types.h>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/kernels/queue.hpp"
#include "pipeline/model/gating.hpp"
#include "pipeline/model/heads.hpp"
#include "pipeline/model/rotation.hpp"
#include "pipeline/model/score_terms.hpp"

namespace cmc::model::device {

// Where kernels on this tensor run: its device's current stream.
kernels::Queue queue_of(const torch::Tensor& x);

// Whether kernels take tensors of this type on this device.
bool takes(const torch::Tensor& x);

torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const Norm& norm);
torch::Tensor gate(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined);
Heads rotated_heads(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                    const Rotation& turn, const DevicePlan& plan);
torch::Tensor rope_cache(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                         const Rotation& turn, const DevicePlan& plan, const CacheLayer& layer);
// [N, heads, head_dim] over a layer of the cache; `window` 0: all places. `workspace`: kept from layer to layer of one
// pass, undefined at the first. → [N, heads * head_dim]
torch::Tensor attend_cache(const torch::Tensor& query, const checkpoint::ModelConfig& config, const DevicePlan& plan,
                           const CacheLayer& layer, int64_t window, const ScoreTerms& terms, torch::Tensor& workspace);
// [N, hidden] rows of a table that holds the vocabulary's ids from `first` on; ids outside give zeros.
torch::Tensor embed(const torch::Tensor& table, int64_t first, double scale, const DevicePlan& plan);

}  // namespace cmc::model::device
