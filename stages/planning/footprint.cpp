#include "stages/planning/footprint.hpp"

#include <algorithm>

#include "stages/planning/planned_compute.hpp"

namespace cmc::stages {

Footprint footprint_of(const checkpoint::ModelConfig& c) {
  const auto hidden = static_cast<double>(c.hidden), layers = static_cast<double>(c.layers);
  const auto queries = static_cast<double>(c.heads * c.head_dim), keys = static_cast<double>(c.kv_heads * c.head_dim);
  const double norms = (c.post_norms ? 4 : 2) * hidden + (c.qk_norm ? 2.0 * static_cast<double>(c.head_dim) : 0.0);
  const double biases = (c.attention_bias ? queries + 2 * keys + hidden : 0.0) +
                        (c.mlp_bias ? 2.0 * static_cast<double>(c.intermediate) + hidden : 0.0);
  const double matrices = hidden * (2 * queries + 2 * keys) + 3 * hidden * static_cast<double>(c.intermediate);
  Footprint footprint;
  footprint.matrix_weights = layers * matrices;
  footprint.vector_weights = layers * (norms + biases) + hidden;
  footprint.output_weights = static_cast<double>(c.vocabulary) * hidden;
  footprint.input_weights = c.tied_output ? 0.0 : footprint.output_weights;
  footprint.cache_per_token = layers * 2 * keys;
  return footprint;
}

namespace {

// The mean over the layers of how many of `context` tokens each sees.
double seen(const checkpoint::ModelConfig& c, double context) {
  double sum = 0;
  for (const bool sliding : c.sliding)
    sum += sliding && c.window > 0 ? std::min(context, static_cast<double>(c.window)) : context;
  return c.sliding.empty() ? context : sum / static_cast<double>(c.sliding.size());
}

}  // namespace

double Footprint::read_by_step(const checkpoint::ModelConfig& config, double rows, double context) const {
  return matrix_weights + vector_weights + output_weights + rows * seen(config, context) * cache_per_token;
}

double Footprint::operations(const checkpoint::ModelConfig& c, double tokens, double predicted) const {
  // Query times key and weight times value, half of them behind the causal mask.
  const double pairs = tokens * seen(c, tokens) / 2;
  const double attention = 4 * pairs * static_cast<double>(c.layers * c.heads * c.head_dim);
  return 2 * (matrix_weights * tokens + output_weights * predicted) + attention;
}

int64_t computed_bytes(const Experiment& experiment) {
  return compute_kind_of(experiment).bfloat16 ? 2 : 4;
}

int64_t decoding_bytes(const Experiment& experiment, const checkpoint::ModelConfig& config, int64_t tokens,
                       int tensor_parallel) {
  const Footprint model = footprint_of(config);
  const auto rows = static_cast<double>(experiment.compute.batch),
             each = static_cast<double>(computed_bytes(experiment));
  const bool packs = !plans_for_gpus(experiment) && each == 4;
  const double packed = packs ? model.matrix_weights + model.output_weights : 0;
  const double numbers = model.weights() + packed + rows * static_cast<double>(tokens) * model.cache_per_token;
  const double logits = 4 * rows * static_cast<double>(config.vocabulary);
  return static_cast<int64_t>(each * numbers / tensor_parallel + logits);
}

}  // namespace cmc::stages
