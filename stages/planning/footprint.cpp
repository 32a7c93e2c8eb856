#include "stages/planning/footprint.hpp"

#include <algorithm>

#include "stages/planning/planned_compute.hpp"

namespace cmc::stages {

namespace {

// Numbers of one layer.
struct LayerSizes {
  double attention, mlp, vectors;
};

// How much of a layer's MLP one token computes with.
double active_share(const checkpoint::ModelConfig& c, const checkpoint::LayerKind& kind) {
  if (!kind.experts) return 1.0;
  const auto shared = static_cast<double>(c.experts.shared_intermediate),
             own = static_cast<double>(c.experts.intermediate);
  return (static_cast<double>(c.experts.active) * own + shared) / (static_cast<double>(c.experts.count) * own + shared);
}

double attention_matrices(const checkpoint::ModelConfig& c) {
  const auto hidden = static_cast<double>(c.hidden), heads = static_cast<double>(c.heads),
             dim = static_cast<double>(c.head_dim), values = heads * static_cast<double>(c.value_dim);
  if (!c.has_latent()) return hidden * (heads * dim + 2 * static_cast<double>(c.kv_heads) * dim + values);
  const auto query_rank = static_cast<double>(c.latent.query_rank), key_rank = static_cast<double>(c.latent.key_rank),
             plain = static_cast<double>(c.latent.plain);
  const double queries = query_rank > 0 ? hidden * query_rank + query_rank * heads * dim : hidden * heads * dim;
  return queries + hidden * (key_rank + dim - plain) + key_rank * (heads * plain + values) + values * hidden;
}

LayerSizes sizes_of(const checkpoint::ModelConfig& c, const checkpoint::LayerKind& kind) {
  const auto hidden = static_cast<double>(c.hidden), queries = static_cast<double>(c.heads * c.head_dim),
             keys = static_cast<double>(c.kv_heads * c.head_dim), width = static_cast<double>(c.intermediate);
  double norms = 0;
  for (const std::string* name :
       {&c.names.attention_norm, &c.names.after_attention_norm, &c.names.mlp_norm, &c.names.after_mlp_norm})
    norms += name->empty() ? 0.0 : hidden * ((c.norm.weight ? 1.0 : 0.0) + (c.norm.bias ? 1.0 : 0.0));
  const double of_heads = c.head_norm == checkpoint::HeadNorm::none     ? 0.0
                          : c.head_norm == checkpoint::HeadNorm::shared ? 2.0 * static_cast<double>(c.head_dim)
                                                                        : queries + keys;
  LayerSizes sizes{attention_matrices(c), 0, norms + of_heads * (c.head_norm_kind.bias ? 2.0 : 1.0)};
  if (c.has_latent()) sizes.vectors += static_cast<double>(c.latent.query_rank + c.latent.key_rank);
  if (c.query_key_value_bias && !c.has_latent()) sizes.vectors += queries + 2 * keys;
  if (c.attention_output_bias) sizes.vectors += hidden;
  if (c.sinks) sizes.vectors += static_cast<double>(c.heads);
  if (!kind.experts) {
    sizes.mlp = (c.gated ? 3.0 : 2.0) * hidden * width;
    if (c.mlp_bias) sizes.vectors += (c.gated ? 2.0 : 1.0) * width + hidden;
    return sizes;
  }
  const auto count = static_cast<double>(c.experts.count), own = static_cast<double>(c.experts.intermediate);
  sizes.mlp = count * (hidden + 3 * hidden * own) + 3 * hidden * static_cast<double>(c.experts.shared_intermediate);
  if (!c.names.shared_expert_gate.empty()) sizes.mlp += hidden;
  if (c.experts.biases) sizes.vectors += count * (1 + 2 * own + hidden);
  return sizes;
}

}  // namespace

Footprint footprint_of(const checkpoint::ModelConfig& c) {
  const auto hidden = static_cast<double>(c.hidden), vocabulary = static_cast<double>(c.vocabulary);
  const double width = c.embedding_width > 0 ? static_cast<double>(c.embedding_width) : hidden;
  Footprint footprint;
  for (const checkpoint::LayerKind& kind : c.kinds) {
    const LayerSizes sizes = sizes_of(c, kind);
    footprint.matrix_weights += sizes.attention + sizes.mlp;
    footprint.vector_weights += sizes.vectors;
    footprint.active_weights += sizes.attention + sizes.mlp * active_share(c, kind);
  }
  const double of_norm = hidden * ((c.norm.weight ? 1.0 : 0.0) + (c.norm.bias ? 1.0 : 0.0));
  if (!c.names.final_norm.empty() && !c.norm_closes_branch) footprint.vector_weights += of_norm;
  if (!c.names.embedding_norm.empty()) footprint.vector_weights += of_norm;
  if (c.output_bias) footprint.vector_weights += vocabulary;
  for (const std::string* name : {&c.names.project_in, &c.names.project_out}) {
    const double matrix = name->empty() ? 0.0 : hidden * width;
    footprint.matrix_weights += matrix;
    footprint.active_weights += matrix;
  }
  footprint.output_weights = vocabulary * width;
  footprint.input_weights =
      (c.tied_output ? 0.0 : footprint.output_weights) + static_cast<double>(c.learned_positions) * hidden;
  footprint.cache_per_token = static_cast<double>(c.layers * 2 * c.kv_heads * c.head_dim);
  return footprint;
}

namespace {

// The mean over the layers of how many of `context` tokens each sees.
double seen(const checkpoint::ModelConfig& c, double context) {
  double sum = 0;
  for (const checkpoint::LayerKind& kind : c.kinds)
    sum += kind.sliding && c.window > 0 ? std::min(context, static_cast<double>(c.window)) : context;
  return c.kinds.empty() ? context : sum / static_cast<double>(c.kinds.size());
}

}  // namespace

double Footprint::read_by_step(const checkpoint::ModelConfig& config, double rows, double context) const {
  return matrix_weights + vector_weights + output_weights + rows * seen(config, context) * cache_per_token;
}

double Footprint::operations(const checkpoint::ModelConfig& c, double tokens, double predicted) const {
  // Query times key and weight times value, half of them behind the causal mask.
  const double pairs = tokens * seen(c, tokens) / 2;
  const double attention = 4 * pairs * static_cast<double>(c.layers * c.heads * c.head_dim);
  return 2 * (active_weights * tokens + output_weights * predicted) + attention;
}

int64_t computed_bytes(const Experiment& experiment) {
  return compute_kind_of(experiment).bfloat16 ? 2 : 4;
}

DeviceBytes decoding_bytes(const Experiment& experiment, const checkpoint::ModelConfig& config, int64_t tokens) {
  const Footprint model = footprint_of(config);
  const auto rows = static_cast<double>(experiment.compute.batch),
             each = static_cast<double>(computed_bytes(experiment));
  const bool packs = !plans_for_gpus(experiment) && each == 4;
  const double packed = packs ? model.matrix_weights + model.output_weights : 0;
  const double numbers = model.weights() + packed + rows * static_cast<double>(tokens) * model.cache_per_token;
  return {each * numbers, 4 * rows * static_cast<double>(config.vocabulary)};
}

DeviceBytes training_bytes(const Experiment& experiment, const checkpoint::ModelConfig& config,
                           const records::TrainingParameters& training) {
  constexpr double number = 4, moments = 2;  // of a float32
  const double whole = number * (1 + 1 + moments + (training.keep ? 1 : 0));
  const double of_weight = training.lora ? static_cast<double>(computed_bytes(experiment)) + number / 2 : whole;
  return {of_weight * footprint_of(config).weights(), 0};
}

}  // namespace cmc::stages
