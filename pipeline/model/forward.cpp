// The forward pass: embedding, decoder layers, final norm, output layer.
#include <ATen/record_function.h>

#include "pipeline/core/error.hpp"
#include "pipeline/model/attention.hpp"
#include "pipeline/model/cached_attention.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/embed.hpp"
#include "pipeline/model/gate.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/pass_tables.hpp"
#include "pipeline/model/recompute.hpp"
#include "pipeline/model/rotated_heads.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

using checkpoint::ModelConfig;

// What the layers of one forward pass share.
struct Pass {
  const ModelConfig& config;  // with this rank's heads
  TensorGroup group;
  DevicePlan plan;
  KvCache* cache;
  torch::Tensor cells;  // see CacheLayer
  Rotation turn, local_turn;
  PackedAttention packed;
  CachedAttention cached;
  std::optional<uint64_t> dropout_seed;
};

// The residual stream, and what the block before adds to it.
struct Stream {
  torch::Tensor x;
  Branch added;
};

// → [N, heads * head_dim]
torch::Tensor mixed(Pass& pass, const LayerWeights& layer, const torch::Tensor& joined, int64_t index) {
  const bool local = pass.config.sliding[static_cast<size_t>(index)];
  const Reach reach = local ? Reach::window : Reach::full;
  const Rotation& turn = local ? pass.local_turn : pass.turn;
  const HeadNorms norms{layer.query_norm, layer.key_norm};
  if (pass.cache == nullptr) return pass.packed(rotated_heads(joined, pass.config, norms, turn, pass.plan), reach);
  const CacheLayer stored{pass.cache->keys(index), pass.cache->values(index), pass.cache->capacity(), pass.cells};
  return pass.cached(rope_cache(joined, pass.config, norms, turn, pass.plan, stored), stored, reach);
}

void run_layer(Pass& pass, const LayerWeights& layer, Stream& stream, int64_t index) {
  const auto seed = pass.dropout_seed;
  const auto joined = layer.query_key_value(add_norm(stream.x, stream.added, layer.attention_norm), seed);
  stream.added = {pass.group.sum(layer.attention_output(mixed(pass, layer, joined, index), seed)),
                  layer.after_attention_norm};
  const auto wide = layer.gate_up(add_norm(stream.x, stream.added, layer.mlp_norm), seed);
  stream.added = {pass.group.sum(layer.down(gate(pass.config.activation, wide), seed)), layer.after_mlp_norm};
}

// Cached heads are copied as bytes: a cache of another model or type would be read as nonsense.
void check_cache(const ModelConfig& config, const KvCache& cache, torch::Dtype dtype, torch::Device device) {
  const std::vector<int64_t> shape = {cache.slots() * cache.capacity() + 1, config.kv_heads, config.head_dim};
  const torch::Tensor& keys = cache.keys(0);
  expect(keys.sizes() == shape && cache.layers() == config.layers && keys.scalar_type() == dtype &&
             keys.device().type() == device.type(),
         "a cache is used with the model, type and device it was made for");
}

bool scales_with_length(const checkpoint::Rope& rope) {
  return rope.scaling.kind == checkpoint::RopeScaling::Kind::dynamic_ntk;
}

std::vector<int64_t> host_numbers(const torch::Tensor& numbers) {
  if (!numbers.defined()) return {};
  const torch::Tensor host = numbers.to(torch::kCPU, torch::kInt64).contiguous();
  const int64_t* values = host.const_data_ptr<int64_t>();
  return {values, values + host.numel()};
}

// Of a whole input: no token is fed back.
PassInput pass_input(const ModelInput& input, int64_t vocabulary) {
  expect(input.tokens.defined() && input.tokens.dim() == 1, "tokens of a pass are packed in one row");
  const std::vector<int64_t> tokens = host_numbers(input.tokens), positions = host_numbers(input.positions);
  for (const int64_t token : tokens) check_token(token, vocabulary);
  return {{tokens.begin(), tokens.end()}, input.spans, {}, {positions.begin(), positions.end()}};
}

void check_tree(const torch::Tensor& mask, const PassPlan& plan) {
  if (!mask.defined()) return;
  expect(plan.spans.size() == 1, "a tree mask is for a single span");
  expect(mask.dim() == 2 && mask.size(0) == plan.shape.tokens && mask.size(1) == plan.shape.longest_key,
         "a tree mask is [N, past + N]");
}

}  // namespace

struct DecoderModel::PassOptions {
  torch::Tensor tree_mask;
  std::optional<uint64_t> dropout_seed;
  bool recompute_layers = false;
};

bool DecoderModel::capturable() const {
  return !scales_with_length(config_.rope) && (config_.window == 0 || !scales_with_length(config_.local_rope)) &&
         group_.stays_on_device();
}

torch::Tensor DecoderModel::embed(const DevicePlan& plan) const {
  const Range own = weights_->split.vocabulary.ranges.front();
  return group_.sum(model::embed({.table = weights_->embedding,
                                  .own = own,
                                  .whole = !is_split(),
                                  .scale = config_.embedding_scale,
                                  .padding_token = config_.padding_token},
                                 plan));
}

PassPlan DecoderModel::checked_plan(const PassInput& input, const KvCache* cache) const {
  expect(group_.tensor_rank() == weights_->split.tensor_rank, "a split model runs over its group");
  if (cache != nullptr) check_cache(weights_->split.local, *cache, dtype(), device());
  PassPlan plan = plan_pass(input, cache, config_.vocabulary);
  group_.expect_same(plan.numbers);
  const auto positions = plan.column(Column::positions);
  // For every plan of this cache, so that the tables move no more often than it.
  const int64_t room = std::max<int64_t>(*std::ranges::max_element(positions) + 1, cache ? cache->capacity() : 0);
  tables_->turn.reserve(room);
  if (config_.window > 0) tables_->local_turn.reserve(room);
  return plan;
}

PassPlan DecoderModel::plan(const PassInput& input, const KvCache& cache) const {
  return checked_plan(input, &cache);
}

torch::Tensor DecoderModel::hidden(const DevicePlan& plan, KvCache& cache) const {
  const torch::NoGradGuard no_gradients;
  return run(plan, &cache, {});
}

torch::Tensor DecoderModel::hidden(const ModelInput& input, KvCache* cache) const {
  // A cache is written in place, and ranks speak to each other, which autograd cannot follow.
  const torch::AutoGradMode gradients(torch::GradMode::is_enabled() && cache == nullptr && !is_split());
  const PassPlan plan = checked_plan(pass_input(input, config_.vocabulary), cache);
  check_tree(input.tree_mask, plan);
  const PassOptions options{input.tree_mask.defined() ? input.tree_mask.to(device(), torch::kBool) : torch::Tensor(),
                            input.dropout_seed, input.recompute_layers && torch::GradMode::is_enabled()};
  // A backward pass still reads the plan when later passes have been planned.
  DevicePlan there = torch::GradMode::is_enabled() ? PlanBuffers(device(), plan.shape.numbers()).upload(plan)
                                                   : tables_->plans.upload(plan);
  const torch::Tensor states = run(there, cache, options);
  for (const Placement& span : plan.spans) {
    if (cache != nullptr) cache->advance(span.slot, span.tokens);
  }
  return states;
}

torch::Tensor DecoderModel::run(const DevicePlan& plan, KvCache* cache, const PassOptions& options) const {
  const ModelConfig& local = weights_->split.local;
  const auto turns = [&](const checkpoint::Rope& rope, const RotationTable& table) {
    return scales_with_length(rope) ? Rotation(rope, config_.head_dim, plan, device()) : Rotation(table, plan);
  };
  const Rotation turn = turns(config_.rope, tables_->turn);
  torch::Tensor cells;
  if (cache != nullptr && path_of(weights_->embedding) == OpPath::torch)
    cells = (plan.slots * cache->capacity() + plan.places).to(torch::kInt64);
  const auto pass =
      std::make_shared<Pass>(Pass{local, group_, plan, cache, cells, turn,
                                  config_.window > 0 ? turns(config_.local_rope, tables_->local_turn) : turn,
                                  PackedAttention(local, plan, options.tree_mask),
                                  CachedAttention(local, plan, options.tree_mask), options.dropout_seed});
  Stream stream{embed(plan), {}};
  if (options.recompute_layers && !stream.x.requires_grad())
    stream.x.requires_grad_(true);  // under adapters the embedding is frozen
  for (int64_t index = 0; index < config_.layers; ++index) {
    const LayerWeights& layer = weights_->layers[static_cast<size_t>(index)];
    if (!options.recompute_layers) {
      run_layer(*pass, layer, stream, index);
      continue;
    }
    const auto one_layer = [=](const torch::Tensor& from) {
      Stream inner{from, {}};
      run_layer(*pass, layer, inner, index);
      return inner.x + inner.added.normed();
    };
    stream.x = recomputed(one_layer, stream.x);
  }
  if (plan.shape.selects) {
    stream.x = stream.x.index_select(0, plan.wanted);
    if (auto& added = stream.added.values; added.defined()) added = added.index_select(0, plan.wanted);
  }
  return add_norm(stream.x, stream.added, weights_->final_norm);
}

torch::Tensor DecoderModel::logits(const torch::Tensor& hidden) const {
  const torch::Tensor rows = hidden.reshape({-1, config_.hidden});
  torch::Tensor result = group_.gather_columns(weights_->output.wide(rows), config_.vocabulary);
  if (config_.final_softcap > 0.0) result = torch::tanh(result / config_.final_softcap) * config_.final_softcap;
  std::vector<int64_t> shape = hidden.sizes().vec();
  shape.back() = config_.vocabulary;
  return result.view(shape);
}

}  // namespace cmc::model
