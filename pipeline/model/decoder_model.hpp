#pragma once
#include <torch/torch.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/kv_cache.hpp"

namespace cmc::model {

struct ModelWeights;

// Consecutive tokens of one sequence.
struct Span {
  int64_t slot = 0;    // row of the cache the sequence lives in (ignored without a cache)
  int64_t tokens = 0;  // how many of the packed tokens belong to it, at least one
};

// Tokens of many sequences, packed one after the other: no padding goes through the linear layers.
struct ModelInput {
  torch::Tensor tokens;     // [N] int64
  std::vector<Span> spans;  // their token counts sum to N; each slot at most once
  torch::Tensor positions;  // [N] int64; undefined: each span goes on where its slot ends
  torch::Tensor tree_mask;  // [N, past + N] bool, true = may attend; single span only; undefined: causal
};

// Copies share their weights. One thread at a time: on a CPU the first pass without gradients packs the weights for its
// kernels (packed again when torch operations have changed them).
class DecoderModel {
 public:
  // Hugging Face folder. Throws MissingInput/BadData/Refused. Weights are converted to `dtype` on `device`.
  static DecoderModel load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device);
  // Random initialisation N(0, config.initializer_range, default 0.02), reproducible by seed on any machine.
  static DecoderModel random(const checkpoint::ModelConfig& config, uint64_t seed, torch::Dtype dtype,
                             torch::Device device);

  const checkpoint::ModelConfig& config() const { return config_; }
  torch::Device device() const;
  torch::Dtype dtype() const;

  // States after the final norm, [N, hidden] in the model's dtype. With a cache, each span is appended to its slot
  // (no gradients). Without one, spans are independent sequences and gradients flow (training).
  // Throws BadData for a token outside the vocabulary, Internal for an input that breaks its contract.
  torch::Tensor hidden(const ModelInput& input, KvCache* cache) const;

  // [.., hidden] → [.., vocabulary] float32 logits (soft-capped where the config says so).
  torch::Tensor logits(const torch::Tensor& hidden) const;
  // [vocabulary, hidden]; the embedding itself where outputs are tied.
  const torch::Tensor& output_weight() const;

  // Hugging Face names, in a fixed order; a tied output appears once. The tensors are the live ones.
  const std::vector<std::pair<std::string, torch::Tensor>>& parameters() const;
  void require_gradients(bool on);
  int64_t parameter_count() const;

  // config.json + model.safetensors that transformers loads (float32/bfloat16 as held). `folder` must exist.
  void save(const std::filesystem::path& folder) const;

 private:
  DecoderModel(checkpoint::ModelConfig config, std::shared_ptr<ModelWeights> weights);
  checkpoint::ModelConfig config_;
  std::shared_ptr<ModelWeights> weights_;
};

}  // namespace cmc::model
