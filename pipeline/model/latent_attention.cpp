#include "pipeline/model/latent_attention.hpp"

namespace cmc::model {

torch::Tensor latent_projections(const checkpoint::ModelConfig& config, const LatentWeights& weights,
                                 const torch::Tensor& x, std::optional<uint64_t> dropout_seed) {
  const int64_t rows = x.size(0), heads = config.kv_heads, dim = config.head_dim, half = dim / 2,
                turned = config.rotary.count / 2, plain = config.latent.plain, rank = config.latent.key_rank;
  torch::Tensor read = x;
  if (weights.query_down.is_there()) read = weights.query_norm(weights.query_down(x, dropout_seed));
  const torch::Tensor query = weights.query_up(read, dropout_seed);

  const torch::Tensor down = weights.key_down(x, dropout_seed);
  const torch::Tensor up = weights.key_up(weights.key_norm(down.narrow(1, 0, rank)), dropout_seed);
  const torch::Tensor still = up.narrow(1, 0, heads * plain).view({rows, heads, plain});
  const auto turning = [&](int64_t part) {  // one half of what turns, the same for all heads
    return down.narrow(1, rank + part * turned, turned).unsqueeze(1).expand({rows, heads, turned});
  };
  // In each half of a head, what turns stands first.
  const torch::Tensor key = torch::cat(
      {turning(0), still.narrow(2, 0, half - turned), turning(1), still.narrow(2, half - turned, half - turned)}, 2);
  const torch::Tensor value = torch::constant_pad_nd(
      up.narrow(1, heads * plain, heads * config.value_dim).view({rows, heads, config.value_dim}),
      {0, dim - config.value_dim});
  return torch::cat({query, key.reshape({rows, heads * dim}), value.reshape({rows, heads * dim})}, 1);
}

}  // namespace cmc::model
