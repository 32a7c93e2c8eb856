// The forward pass around the layers: embedding, final norm, output layer.
#include <ATen/record_function.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/model/decoder_layer.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/embed.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/pass_tables.hpp"
#include "pipeline/model/recompute.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

using checkpoint::ModelConfig;

// Cached heads are copied as bytes: a cache of another model or type would be read as nonsense.
void check_cache(const ModelConfig& config, const KvCache& cache, torch::Dtype dtype, torch::Device device) {
  const std::vector<int64_t> shape = {cache.slots() * cache.capacity() + 1, config.kv_heads, config.head_dim};
  const torch::Tensor& keys = cache.keys(0);
  expect(keys.sizes() == shape && cache.layers() == config.layers && keys.scalar_type() == dtype &&
             keys.device().type() == device.type(),
         "a cache is used with the model, type and device it was made for");
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

// A table of learned positions ends somewhere.
void check_positions(const ModelConfig& config, int64_t last) {
  const int64_t known = config.learned_positions - config.position_offset;
  if (config.learned_positions == 0 || last < known) return;
  throw BadData(
      {"a text of " + std::to_string(last + 1) + " tokens",
       "is longer than the " + std::to_string(known) + " positions that " + config.architecture + " has learned",
       "give shorter texts, or fewer new tokens"});
}

// longrope turns long texts in another way than short ones.
void warn_of_growth(const ModelConfig& config, const PassPlan& plan) {
  if (config.rope.scaling.kind != checkpoint::RopeScaling::Kind::longrope) return;
  const int64_t limit = config.rope.scaling.original_positions;
  for (const Placement& span : plan.spans) {
    if (span.past > 0 && span.past <= limit && span.past + span.tokens > limit) {
      log_warning_once(
          "a text grows beyond ", limit, " tokens with ", config.architecture,
          ": its first keys stay as they are turned in short texts, where transformers reads it all again");
    }
  }
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
  torch::Tensor x = group_.sum(model::embed({.table = weights_->embedding,
                                             .own = own,
                                             .whole = !is_split(),
                                             .scale = config_.embedding_scale,
                                             .padding_token = config_.padding_token},
                                            plan));
  if (weights_->project_in.is_there()) x = weights_->project_in(x);
  if (weights_->positions.defined())
    x = x + weights_->positions.index_select(0, plan.positions + config_.position_offset);
  return weights_->embedding_norm ? weights_->embedding_norm(x) : x;
}

PassPlan DecoderModel::checked_plan(const PassInput& input, const KvCache* cache) const {
  expect(group_.tensor_rank() == weights_->split.tensor_rank, "a split model runs over its group");
  if (cache != nullptr) check_cache(weights_->split.local, *cache, dtype(), device());
  PassPlan plan = plan_pass(input, cache, config_.vocabulary);
  group_.expect_same(plan.numbers);
  const auto positions = plan.column(Column::positions);
  // For every plan of this cache, so that the tables move no more often than it.
  const int64_t room = std::max<int64_t>(*std::ranges::max_element(positions) + 1, cache ? cache->capacity() : 0);
  check_positions(config_, *std::ranges::max_element(positions));
  if (cache != nullptr) warn_of_growth(config_, plan);
  tables_->reserve(room);
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
  // A cache is written in place, which autograd cannot follow.
  const torch::AutoGradMode gradients(torch::GradMode::is_enabled() && cache == nullptr);
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
  const Range own_layers = weights_->split.layers;
  const auto turns = [&](const checkpoint::Rope& rope, const RotationTable& table) {
    return scales_with_length(rope) ? Rotation(rope, table.layout(), plan, device()) : Rotation(table, plan);
  };
  const Rotation turn = turns(config_.rope, tables_->turn);
  torch::Tensor bias;
  if (tables_->bias) {
    const Range own = weights_->split.query_heads;
    bias = tables_->bias->table().narrow(0, own.first, own.count);
  }
  torch::Tensor cells;
  if (cache != nullptr && path_of(weights_->embedding) == OpPath::torch)
    cells = (plan.slots * cache->capacity() + plan.places).to(torch::kInt64);
  const auto pass =
      std::make_shared<Pass>(Pass{local, group_.block(), plan, cache, own_layers.first, cells, turn,
                                  config_.window > 0 ? turns(config_.local_rope, tables_->local_turn) : turn,
                                  Rotation(tables_->still, plan), bias, PackedAttention(local, plan, options.tree_mask),
                                  CachedAttention(local, plan, options.tree_mask), options.dropout_seed});
  Stream stream{embed(plan), {}};
  const LayerPipeline& pipeline = group_.pipeline();
  const bool trains_embedding = stream.x.requires_grad();
  const bool learns = torch::GradMode::is_enabled() && trainable().front().second.requires_grad();
  if (!trains_embedding && (options.recompute_layers || (pipeline.is_split() && learns)))
    stream.x.requires_grad_(true);  // under adapters the embedding is frozen
  stream.x = pipeline.take_over(stream.x, trains_embedding);
  for (int64_t index = own_layers.first; index < own_layers.first + own_layers.count; ++index) {
    const LayerWeights& layer = weights_->layers[static_cast<size_t>(index)];
    if (!options.recompute_layers) {
      run_layer(*pass, layer, stream, index);
      continue;
    }
    const auto one_layer = [=](const torch::Tensor& from) {
      Stream inner{from, {}};
      run_layer(*pass, layer, inner, index);
      return inner.x + inner.added.scaled();
    };
    stream.x = recomputed(one_layer, stream.x);
  }
  if (pipeline.is_split() && stream.added.values.defined()) stream = {stream.x + stream.added.scaled(), {}};
  if (plan.shape.selects && pipeline.is_last()) {
    stream.x = stream.x.index_select(0, plan.wanted);
    if (auto& added = stream.added.values; added.defined()) added = added.index_select(0, plan.wanted);
  }
  stream.x = pipeline.hand_on(stream.x, plan.shape.selects ? plan.shape.wanted : plan.shape.tokens);
  torch::Tensor states = add_norm(stream.x, stream.added, weights_->final_norm);
  if (weights_->project_out.is_there()) states = weights_->project_out(states);
  return config_.output_scale == 1.0 ? states : states * config_.output_scale;
}

torch::Tensor DecoderModel::logits(const torch::Tensor& hidden, KeptMemory* memory) const {
  const torch::Tensor rows = hidden.reshape({-1, hidden.size(-1)});
  torch::Tensor result = group_.gather_columns(weights_->output.wide(rows, memory), config_.vocabulary);
  if (config_.final_softcap > 0.0) result = torch::tanh(result / config_.final_softcap) * config_.final_softcap;
  std::vector<int64_t> shape = hidden.sizes().vec();
  shape.back() = config_.vocabulary;
  return result.view(shape);
}

}  // namespace cmc::model
