#include "pipeline/model/decoder_layer.hpp"

#include "pipeline/model/experts.hpp"
#include "pipeline/model/gate.hpp"
#include "pipeline/model/latent_attention.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/rotated_heads.hpp"

namespace cmc::model {

namespace {

using checkpoint::ModelConfig;

// What the next block reads of the stream, each rank for its part.
torch::Tensor next(const Pass& pass, Stream& stream, const Norm& norm) {
  const torch::Tensor state = add_norm(stream.x, stream.added, norm);
  if (pass.config.residual_is_normed && norm) stream.x = state;
  return pass.group.fan_out(state);
}

// [N, width] of all heads together, of which this rank holds a part.
torch::Tensor norm_whole(const Pass& pass, const Norm& norm, const torch::Tensor& part) {
  const int ranks = pass.group.tensor_rank().size;
  if (ranks == 1) return norm(part.contiguous());
  const torch::Tensor wide = part.to(torch::kFloat32);
  const double width = static_cast<double>(part.size(1)) * ranks;
  const torch::Tensor squares = pass.group.fan_out(pass.group.sum(wide.square().sum(-1, true))) / width;
  return (wide * torch::rsqrt(squares + norm.kind.epsilon) * norm.weight.to(torch::kFloat32)).to(part.scalar_type());
}

torch::Tensor projections(Pass& pass, const LayerWeights& layer, const torch::Tensor& state) {
  const ModelConfig& config = pass.config;
  if (layer.latent) return latent_projections(config, *layer.latent, state, pass.dropout_seed);
  torch::Tensor joined = layer.query_key_value(state, pass.dropout_seed);
  if (config.clip > 0.0) joined = joined.clamp(-config.clip, config.clip);
  if (config.head_norm != checkpoint::HeadNorm::whole) return joined;
  const int64_t queries = config.heads * config.head_dim, keys = config.kv_heads * config.head_dim;
  return torch::cat(
      {norm_whole(pass, layer.query_norm, joined.narrow(1, 0, queries)),
       norm_whole(pass, layer.key_norm, joined.narrow(1, queries, keys)), joined.narrow(1, queries + keys, keys)},
      1);
}

// → [N, heads * head_dim]
torch::Tensor mixed(Pass& pass, const LayerWeights& layer, const torch::Tensor& joined, int64_t index) {
  const checkpoint::LayerKind& kind = pass.config.kinds[static_cast<size_t>(index)];
  const bool local = kind.sliding && pass.config.window > 0;
  const Reach reach = local ? Reach::window : Reach::full;
  const Rotation& turn = !kind.rotates ? pass.still : local ? pass.local_turn : pass.turn;
  const ScoreTerms terms{pass.config.attention_scale * kind.attention_scale, pass.bias, layer.sinks};
  static const Norm none;
  const bool whole = pass.config.head_norm == checkpoint::HeadNorm::whole;
  const HeadNorms norms{whole ? none : layer.query_norm, whole ? none : layer.key_norm};
  if (pass.cache == nullptr)
    return pass.packed(rotated_heads(joined, pass.config, norms, turn, pass.plan), reach, terms);
  const int64_t own = index - pass.first_layer;
  const CacheLayer stored{pass.cache->keys(own), pass.cache->values(own), pass.cache->capacity(), pass.cells};
  return pass.cached(rope_cache(joined, pass.config, norms, turn, pass.plan, stored), stored, reach, terms);
}

// This rank's part of the sum.
torch::Tensor attention(Pass& pass, const LayerWeights& layer, const torch::Tensor& state, int64_t index) {
  torch::Tensor values = mixed(pass, layer, projections(pass, layer, state), index);
  const int64_t dim = pass.config.head_dim, width = pass.config.value_dim;
  if (width < dim) {
    const int64_t rows = values.size(0), heads = pass.config.heads;
    values = values.view({rows, heads, dim}).narrow(2, 0, width).reshape({rows, heads * width});
  }
  return layer.attention_output(values, pass.dropout_seed);
}

// Likewise.
torch::Tensor mlp(Pass& pass, const LayerWeights& layer, const torch::Tensor& state) {
  if (layer.experts.is_there()) return mix_experts(pass.config, layer.experts, state, pass.dropout_seed);
  const torch::Tensor wide = layer.gate_up(state, pass.dropout_seed);
  const Gating gating = pass.config.gated ? Gating::gated : Gating::plain;
  return layer.down(gate(pass.config.activation, gating, wide), pass.dropout_seed);
}

}  // namespace

void run_layer(Pass& pass, const LayerWeights& layer, Stream& stream, int64_t index) {
  const double scale = pass.config.residual_scale;
  const torch::Tensor state = next(pass, stream, layer.attention_norm);
  const torch::Tensor attended = attention(pass, layer, state, index);
  if (pass.config.residual == checkpoint::Residual::parallel) {
    const torch::Tensor read = layer.mlp_norm ? pass.group.fan_out(layer.mlp_norm(stream.x)) : state;
    stream.added = {pass.group.sum(attended + mlp(pass, layer, read)), {}, scale};
    return;
  }
  stream.added = {pass.group.sum(attended), layer.after_attention_norm, scale};
  const torch::Tensor read = next(pass, stream, layer.mlp_norm);
  stream.added = {pass.group.sum(mlp(pass, layer, read)), layer.after_mlp_norm, scale};
}

}  // namespace cmc::model
