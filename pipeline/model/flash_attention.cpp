#include "pipeline/model/flash_attention.hpp"

#include <ATen/ops/_flash_attention_forward.h>

namespace cmc::model {

bool takes_flash(const torch::Tensor& query, const checkpoint::ModelConfig& config) {
  const auto type = query.scalar_type();
  return query.is_cuda() && (type == torch::kBFloat16 || type == torch::kFloat16) && config.head_dim % 8 == 0 &&
         config.head_dim <= 256 && config.attention_softcap == 0.0 && config.alibi.slopes.empty() && !config.sinks;
}

torch::Tensor flash_attend(const torch::Tensor& query, const torch::Tensor& keys, const torch::Tensor& values,
                           const DevicePlan& plan, double scale, int64_t window) {
  std::optional<int64_t> left, right;
  if (window > 0) {
    left = window - 1;
    right = 0;
  }
  // Causal is aligned at the end: the last query of a span sees its last key, so that a past stands before it.
  const torch::Tensor result = std::get<0>(at::_flash_attention_forward(
      query, keys, values, plan.query_starts, plan.key_starts, plan.shape.longest_span, plan.shape.longest_key,
      /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false, scale, left, right, plan.key_lengths));
  return result.reshape({query.size(0), query.size(1) * query.size(2)});
}

}  // namespace cmc::model
