// The forward pass: embedding, decoder layers, final norm, output layer.
#include "pipeline/core/error.hpp"
#include "pipeline/model/attention.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/gate.hpp"
#include "pipeline/model/recompute.hpp"
#include "pipeline/model/rope.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

using checkpoint::ModelConfig;

std::vector<Placement> place(const ModelInput& input, const KvCache* cache) {
  std::vector<Placement> spans;
  std::vector<bool> taken(cache != nullptr ? static_cast<size_t>(cache->slots()) : 0, false);
  int64_t first = 0;
  for (const Span& span : input.spans) {
    expect(span.tokens > 0, "a span has at least one token");
    Placement placement{span.slot, first, span.tokens, 0};
    if (cache != nullptr) {
      expect(span.slot >= 0 && span.slot < cache->slots(), "cache slot inside the cache");
      expect(!taken[static_cast<size_t>(span.slot)], "each slot is in a batch at most once");
      taken[static_cast<size_t>(span.slot)] = true;
      placement.past = cache->length(span.slot);
      expect(placement.past + span.tokens <= cache->capacity(), "a slot never exceeds the cache's capacity");
    }
    spans.push_back(placement);
    first += span.tokens;
  }
  expect(input.tokens.defined() && input.tokens.dim() == 1 && input.tokens.size(0) == first,
         "token counts of the spans sum to the number of tokens");
  expect(!input.positions.defined() || input.positions.sizes() == input.tokens.sizes(), "one position a token");
  if (input.tree_mask.defined()) {
    expect(spans.size() == 1, "a tree mask is for a single span");
    expect(input.tree_mask.dim() == 2 && input.tree_mask.size(0) == first &&
               input.tree_mask.size(1) == spans.front().past + first,
           "a tree mask is [N, past + N]");
  }
  return spans;
}

torch::Tensor positions_of(const ModelInput& input, const std::vector<Placement>& spans, torch::Device device) {
  if (input.positions.defined()) return input.positions.to(device, torch::kInt64);
  std::vector<int64_t> positions;
  for (const Placement& span : spans) {
    for (int64_t token = 0; token < span.tokens; ++token) positions.push_back(span.past + token);
  }
  return torch::tensor(positions, torch::kInt64).to(device);
}

std::vector<std::pair<int64_t, int64_t>> lengths_of(const std::vector<Placement>& spans,
                                                    const torch::Tensor& positions) {
  const torch::Tensor host = positions.to(torch::kCPU);
  std::vector<std::pair<int64_t, int64_t>> lengths;
  for (const Placement& span : spans) {
    lengths.emplace_back(span.tokens, host.narrow(0, span.first, span.tokens).max().item<int64_t>() + 1);
  }
  return lengths;
}

Heads split_heads(const ModelConfig& config, const LayerWeights& layer, const torch::Tensor& joined,
                  const Rotation& turn) {
  const int64_t rows = joined.size(0), queries = config.heads * config.head_dim,
                keys = config.kv_heads * config.head_dim;
  torch::Tensor query = joined.narrow(1, 0, queries).view({rows, config.heads, config.head_dim});
  torch::Tensor key = joined.narrow(1, queries, keys).view({rows, config.kv_heads, config.head_dim});
  const torch::Tensor value = joined.narrow(1, queries + keys, keys).view({rows, config.kv_heads, config.head_dim});
  if (layer.query_norm) query = layer.query_norm(query);
  if (layer.key_norm) key = layer.key_norm(key);
  return {rotate(query, turn), rotate(key, turn), value};
}

// What the layers of one forward pass share.
struct Pass {
  const ModelConfig& config;  // with this rank's heads
  TensorGroup group;
  Rotation turn, local_turn;
  Attention attention;
  std::optional<uint64_t> dropout_seed;
};

torch::Tensor run_layer(Pass& pass, const LayerWeights& layer, const torch::Tensor& x, int64_t index) {
  const bool local = pass.config.sliding[static_cast<size_t>(index)];
  const auto seed = pass.dropout_seed;
  const Heads heads = split_heads(pass.config, layer, layer.query_key_value(layer.attention_norm(x), seed),
                                  local ? pass.local_turn : pass.turn);
  torch::Tensor mixed =
      pass.group.sum(layer.attention_output(pass.attention(heads, index, local ? Reach::window : Reach::full), seed));
  if (layer.after_attention_norm) mixed = layer.after_attention_norm(mixed);
  const torch::Tensor between = x + mixed;
  torch::Tensor expanded = pass.group.sum(
      layer.down(gate(pass.config.activation, layer.gate_up(layer.mlp_norm(between), seed)), seed));
  if (layer.after_mlp_norm) expanded = layer.after_mlp_norm(expanded);
  return between + expanded;
}

// Cached heads are copied as bytes: a cache of another model or type would be read as nonsense.
void check_cache(const ModelConfig& config, KvCache& cache, torch::Dtype dtype, torch::Device device) {
  const std::vector<int64_t> shape = {cache.slots(), config.kv_heads, cache.capacity(), config.head_dim};
  const torch::Tensor& keys = cache.keys(0);
  expect(keys.sizes() == shape && keys.scalar_type() == dtype && keys.device().type() == device.type(),
         "a cache is used with the model, type and device it was made for");
}

void check_tokens(const torch::Tensor& tokens, int64_t vocabulary) {
  if (tokens.numel() == 0) return;
  const int64_t low = tokens.min().item<int64_t>(), high = tokens.max().item<int64_t>();
  if (low < 0 || high >= vocabulary) {
    throw BadData({"token " + std::to_string(low < 0 ? low : high),
                   "is outside the model's vocabulary of " + std::to_string(vocabulary),
                   "the tokenizer belongs to another model"});
  }
}

}  // namespace

// Each rank has the rows of its share of the vocabulary: for other tokens it adds nothing.
torch::Tensor DecoderModel::embed(const torch::Tensor& tokens) const {
  const torch::Tensor ids = tokens.to(device());
  if (!is_split()) return torch::embedding(weights_->embedding, ids, config_.padding_token);
  const Range own = weights_->split.vocabulary.ranges.front();
  const torch::Tensor rows = ids - own.first, foreign = (rows < 0).logical_or(rows >= own.count);
  return group_.sum(torch::embedding(weights_->embedding, rows.clamp(0, own.count - 1))
                        .masked_fill(foreign.unsqueeze(1), 0.0));
}

torch::Tensor DecoderModel::hidden(const ModelInput& input, KvCache* cache) const {
  const ModelConfig& local = weights_->split.local;
  expect(group_.tensor_rank() == weights_->split.tensor_rank, "a split model runs over its group");
  // A cache is written in place, and ranks speak to each other, which autograd cannot follow.
  const torch::AutoGradMode gradients(torch::GradMode::is_enabled() && cache == nullptr && !is_split());
  if (cache != nullptr) check_cache(local, *cache, dtype(), device());
  const std::vector<Placement> spans = place(input, cache);
  check_tokens(input.tokens, config_.vocabulary);
  group_.expect_same(input.tokens);
  const torch::Tensor positions = positions_of(input, spans, device());
  const auto lengths = lengths_of(spans, positions);
  const Rotation turn = rotation(config_.rope, config_.head_dim, positions, lengths);
  const Rotation local_turn =
      config_.window > 0 ? rotation(config_.local_rope, config_.head_dim, positions, lengths) : turn;
  const torch::Tensor tree = input.tree_mask.defined() ? input.tree_mask.to(device(), torch::kBool) : torch::Tensor();
  const auto pass = std::make_shared<Pass>(
      Pass{local, group_, turn, local_turn, Attention(local, spans, positions, tree, cache), input.dropout_seed});
  torch::Tensor x = embed(input.tokens);
  if (config_.embedding_scale != 1.0) {
    x = x * torch::tensor(config_.embedding_scale, torch::kFloat32).to(x.scalar_type()).item<double>();
  }
  const bool recompute = input.recompute_layers && torch::GradMode::is_enabled();
  if (recompute && !x.requires_grad()) x.requires_grad_(true);  // under adapters the embedding is frozen
  for (int64_t index = 0; index < config_.layers; ++index) {
    const LayerWeights& layer = weights_->layers[static_cast<size_t>(index)];
    x = recompute ? recomputed([=](const torch::Tensor& from) { return run_layer(*pass, layer, from, index); }, x)
                  : run_layer(*pass, layer, x, index);
  }
  for (const Placement& span : spans) {
    if (cache != nullptr) cache->advance(span.slot, span.tokens);
  }
  return weights_->final_norm(x);
}

torch::Tensor DecoderModel::logits(const torch::Tensor& hidden) const {
  const torch::Tensor rows = hidden.reshape({-1, config_.hidden});
  torch::Tensor result = group_.gather_columns(weights_->output(rows), config_.vocabulary).to(torch::kFloat32);
  if (config_.final_softcap > 0.0) result = torch::tanh(result / config_.final_softcap) * config_.final_softcap;
  std::vector<int64_t> shape = hidden.sizes().vec();
  shape.back() = config_.vocabulary;
  return result.view(shape);
}

}  // namespace cmc::model
