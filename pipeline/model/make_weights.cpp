#include "pipeline/model/make_weights.hpp"

#include "pipeline/model/head_layout.hpp"
#include "pipeline/model/weight_builder.hpp"

namespace cmc::model {

namespace {

using checkpoint::HeadNorm;
using checkpoint::ModelConfig;

// The layers of one model, as its configuration describes them.
class Layers {
 public:
  Layers(const ModelConfig& config, const TensorSplit& split, WeightBuilder& build)
      : config_(config),
        split_(split),
        build_(build),
        rows_(head_rows(config, split)),
        hidden_(all_of(config.hidden)) {}

  LayerWeights make(int64_t number) {
    prefix_ = prefix_of(number);
    using Held = WeightBuilder::Held;
    const Range& own = split_.layers;
    const Held held = number >= own.first && number < own.first + own.count ? Held::by_this_rank : Held::elsewhere;
    build_.begin(RankGradient::partial, held);
    LayerWeights layer;
    if (config_.has_latent())
      add_latent(layer);
    else
      add_projections(layer);
    const auto stored = config_.names.transposed ? WeightBuilder::Stored::transposed : WeightBuilder::Stored::straight;
    layer.attention_output = build_.linear({{name(config_.names.attention_output), hidden_}},
                                           value_columns(config_, split_), config_.attention_output_bias, stored);
    build_.keep_on_first_rank(name(config_.names.attention_output) + ".bias");
    add_head_norms(layer);
    if (config_.sinks)
      layer.sinks = build_.vector(name(config_.names.sinks), {config_.heads, {split_.query_heads}}, Fill::bias);
    if (config_.kinds[static_cast<size_t>(number)].experts)
      add_experts(layer.experts);
    else
      add_mlp(layer, stored);
    build_.begin(RankGradient::complete, held);
    add_norms(layer, number);
    build_.begin(RankGradient::complete);
    return layer;
  }

  // The norm that closes the last block, where norms stand behind.
  std::string closing_norm() const { return prefix_of(config_.layers - 1) + config_.names.mlp_norm; }

 private:
  std::string prefix_of(int64_t number) const { return config_.names.layers + std::to_string(number) + "."; }
  std::string name(const std::string& part) const { return part.empty() ? part : prefix_ + part; }

  void add_projections(LayerWeights& layer) {
    const checkpoint::TensorNames& names = config_.names;
    const auto stored = names.transposed ? WeightBuilder::Stored::transposed : WeightBuilder::Stored::straight;
    std::vector<WeightBuilder::Output> outputs = {{name(names.joined), rows_.joined}};
    if (names.joined.empty())
      outputs = {{name(names.query), rows_.query}, {name(names.key), rows_.key}, {name(names.value), rows_.value}};
    layer.query_key_value = build_.linear(outputs, hidden_, config_.query_key_value_bias, stored);
  }

  void add_head_norms(LayerWeights& layer) {
    const checkpoint::TensorNames& names = config_.names;
    const checkpoint::NormKind& kind = config_.head_norm_kind;
    const std::string query = name(names.query_norm), key = name(names.key_norm);
    const Slices of_head{config_.head_dim, head_order(config_)};
    if (config_.head_norm == HeadNorm::shared) {
      layer.query_norm = build_.norm(query, kind, of_head);
      layer.key_norm = build_.norm(key, kind, of_head);
    }
    if (config_.head_norm == HeadNorm::own) {
      layer.query_norm = build_.norm_of_heads(query, kind, numbers_of(split_.query_heads), config_.heads, of_head);
      layer.key_norm = build_.norm_of_heads(key, kind, split_.key_heads, config_.kv_heads, of_head);
    }
    if (config_.head_norm == HeadNorm::whole) {
      layer.query_norm = build_.norm(query, kind, rows_.query);
      layer.key_norm = build_.norm(key, kind, rows_.key);
    }
  }

  void add_latent(LayerWeights& layer) {
    const checkpoint::TensorNames& names = config_.names;
    const checkpoint::Latent& sizes = config_.latent;
    const checkpoint::NormKind kind = {.epsilon = 1e-6};
    LatentWeights& latent = layer.latent.emplace();
    const Slices query_rank = all_of(sizes.query_rank), key_rank = all_of(sizes.key_rank);
    if (sizes.query_rank > 0) {
      latent.query_down = build_.linear({{name(names.query_down), query_rank}}, hidden_, config_.query_key_value_bias);
      latent.query_norm = build_.norm(name(names.query_down_norm), kind, query_rank);
      latent.query_up = build_.linear({{name(names.query_up), rows_.query}}, query_rank, false);
    } else {
      latent.query_up = build_.linear({{name(names.query), rows_.query}}, hidden_, false);
    }
    latent.key_down = build_.linear({{name(names.key_down), followed_by(key_rank, turned_part())}}, hidden_,
                                    config_.query_key_value_bias);
    latent.key_norm = build_.norm(name(names.key_down_norm), kind, key_rank);
    const int64_t stride = sizes.plain + config_.value_dim, whole = config_.kv_heads * stride;
    Slices rows = rows_of_heads(split_.key_heads, whole, stride, 0, {{0, sizes.plain, 1}});
    const Slices values = rows_of_heads(split_.key_heads, whole, stride, sizes.plain, {{0, config_.value_dim, 1}});
    rows.ranges.insert(rows.ranges.end(), values.ranges.begin(), values.ranges.end());
    latent.key_up = build_.linear({{name(names.key_up), rows}}, key_rank, false);
  }

  // The part of a key that all heads share, its halves as head_order() has them.
  Slices turned_part() const {
    const int64_t count = config_.rotary.count, half = count / 2;
    if (!config_.rotary.pairs) return all_of(count);
    return {count, {{0, half, 2}, {1, half, 2}}};
  }

  void add_mlp(LayerWeights& layer, WeightBuilder::Stored stored) {
    const checkpoint::TensorNames& names = config_.names;
    const Slices& width = split_.intermediate;
    std::vector<WeightBuilder::Output> outputs = {{name(names.up), width}};
    if (config_.gated) outputs = {{name(names.gate), width}, {name(names.up), width}};
    if (!names.gate_up.empty()) outputs = {{name(names.gate_up), followed_by(width, width)}};
    layer.gate_up = build_.linear(outputs, hidden_, config_.mlp_bias, stored);
    layer.down = build_.linear({{name(names.down), hidden_}}, width, config_.mlp_bias, stored);
    build_.keep_on_first_rank(name(names.down) + ".bias");
  }

  void add_experts(ExpertWeights& experts) {
    const checkpoint::TensorNames& names = config_.names;
    const int64_t count = config_.experts.count;
    const Slices all = all_of(count), &width = split_.expert_intermediate;
    experts.router = build_.matrix(name(names.router) + ".weight", all, hidden_);
    if (config_.experts.biases) experts.router_bias = build_.vector(name(names.router) + ".bias", all, Fill::bias);
    if (!names.router_correction.empty()) experts.correction = build_.buffer(name(names.router_correction), all);
    WeightBuilder::Stack gate_up, down;
    if (names.stacked_gate_up.empty()) {
      const auto own = [&](int64_t expert) { return name(names.expert) + std::to_string(expert) + "."; };
      gate_up = build_.stack(
          count,
          [&](int64_t expert) -> std::vector<WeightBuilder::Output> {
            return {{own(expert) + names.expert_gate, width}, {own(expert) + names.expert_up, width}};
          },
          hidden_);
      down = build_.stack(
          count,
          [&](int64_t expert) -> std::vector<WeightBuilder::Output> {
            return {{own(expert) + names.expert_down, hidden_}};
          },
          width);
    } else {
      // The gate's and the other's outputs take turns.
      const Range& share = width.ranges.front();
      const Slices turns{2 * width.whole, {{2 * share.first, share.count, 2}, {2 * share.first + 1, share.count, 2}}};
      gate_up = build_.stored_stack(count, {name(names.stacked_gate_up), turns}, hidden_, config_.experts.biases);
      down = build_.stored_stack(count, {name(names.stacked_down), hidden_}, width, config_.experts.biases);
      build_.keep_on_first_rank(name(names.stacked_down) + "_bias");
    }
    experts.gate_up = gate_up.weight;
    experts.gate_up_bias = gate_up.bias;
    experts.each_gate_up = std::move(gate_up.each);
    experts.down = down.weight;
    experts.down_bias = down.bias;
    experts.each_down = std::move(down.each);
    add_shared_expert(experts);
  }

  void add_shared_expert(ExpertWeights& experts) {
    const checkpoint::TensorNames& names = config_.names;
    if (config_.experts.shared_intermediate == 0) return;
    const Slices& width = split_.shared_intermediate;
    const std::string own = name(names.shared_expert) + ".";
    experts.shared_gate_up =
        build_.linear({{own + names.expert_gate, width}, {own + names.expert_up, width}}, hidden_, false);
    experts.shared_down = build_.linear({{own + names.expert_down, hidden_}}, width, false);
    if (!names.shared_expert_gate.empty())
      experts.shared_gate = build_.matrix(name(names.shared_expert_gate) + ".weight", all_of(1), hidden_);
  }

  void add_norms(LayerWeights& layer, int64_t number) {
    const checkpoint::TensorNames& names = config_.names;
    const auto norm = [&](const std::string& full) { return build_.norm(full, config_.norm, hidden_); };
    if (config_.norm_closes_branch) {
      // What closes a block is what the next one reads.
      if (number > 0) layer.attention_norm = norm(prefix_of(number - 1) + names.mlp_norm);
      layer.mlp_norm = norm(name(names.attention_norm));
      return;
    }
    layer.attention_norm = norm(name(names.attention_norm));
    layer.after_attention_norm = norm(name(names.after_attention_norm));
    layer.mlp_norm = norm(name(names.mlp_norm));
    layer.after_mlp_norm = norm(name(names.after_mlp_norm));
  }

  const ModelConfig& config_;
  const TensorSplit& split_;
  WeightBuilder& build_;
  HeadRows rows_;
  Slices hidden_;
  std::string prefix_;
};

void add_embedding(const ModelConfig& config, const TensorSplit& split, WeightBuilder& build, ModelWeights& weights) {
  const checkpoint::TensorNames& names = config.names;
  const Slices hidden = all_of(config.hidden),
               width = all_of(config.embedding_width > 0 ? config.embedding_width : config.hidden);
  weights.embedding = build.matrix(names.embedding + ".weight", split.vocabulary, width);
  if (config.learned_positions > 0)
    weights.positions = build.matrix(names.positions + ".weight", all_of(config.learned_positions), hidden);
  weights.embedding_norm = build.norm(names.embedding_norm, config.norm, hidden);
  if (!names.project_in.empty()) weights.project_in = build.linear({{names.project_in, hidden}}, width, false);
}

void add_output(const ModelConfig& config, const TensorSplit& split, WeightBuilder& build, ModelWeights& weights) {
  const checkpoint::TensorNames& names = config.names;
  const Slices hidden = all_of(config.hidden),
               width = all_of(config.embedding_width > 0 ? config.embedding_width : config.hidden);
  if (!names.project_out.empty()) weights.project_out = build.linear({{names.project_out, width}}, hidden, false);
  if (!config.tied_output) {
    weights.output = build.linear({{names.output, split.vocabulary}}, width, config.output_bias);
    weights.output.weight = weights.output.weights.front();
    if (config.output_bias) weights.output.bias = weights.output.biases.front();
    return;
  }
  weights.output.weight = weights.embedding;
  weights.output.weights = {weights.embedding};
  if (!config.output_bias) return;
  weights.output.bias = build.vector(names.output + ".bias", split.vocabulary, Fill::bias);
  weights.output.biases = {weights.output.bias};
}

}  // namespace

ModelWeights make_weights(const ModelConfig& config, TensorRank tensor_rank, torch::Dtype dtype, torch::Device device,
                          const FillTensor& fill) {
  // Ordinary tensors even when the caller is in inference mode: they may be trained later.
  const c10::InferenceMode ordinary(false);
  const torch::NoGradGuard no_gradients;
  ModelWeights weights;
  weights.split = split_model(config, tensor_rank);
  WeightBuilder build(config, dtype, device, fill, weights);
  add_embedding(config, weights.split, build, weights);
  Layers layers(config, weights.split, build);
  for (int64_t layer = 0; layer < config.layers; ++layer) weights.layers.push_back(layers.make(layer));
  weights.final_norm = build.norm(config.norm_closes_branch ? layers.closing_norm() : config.names.final_norm,
                                  config.norm, all_of(config.hidden));
  add_output(config, weights.split, build, weights);
  return weights;
}

ModelWeights copy_weights(const ModelConfig& config, const ModelWeights& weights) {
  size_t next = 0, next_buffer = 0;
  const FillTensor fill = [&](const TensorPlan& plan, torch::Tensor& target) {
    // Both are made in one order.
    target.copy_(plan.kind == Fill::buffer ? weights.buffers[next_buffer++].second : weights.named[next++].second);
  };
  return make_weights(config, weights.split.tensor_rank, weights.embedding.scalar_type(), weights.embedding.device(),
                      fill);
}

}  // namespace cmc::model
