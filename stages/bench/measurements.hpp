#pragma once
#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "pipeline/fusion/fused_source.hpp"
#include "stages/bench/machine.hpp"
#include "stages/bench/measure.hpp"
#include "stages/bench/shape_named.hpp"
#include "stages/planning/footprint.hpp"

namespace cmc::stages {

struct BenchSettings {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;  // of the base; deltas are float32 where they are trained, `dtype` elsewhere
  int64_t context = 512;                 // tokens of each sequence before what is measured
  int64_t steps = 64;                    // decoding steps measured
  bool same = true, other = true;        // deltas to measure with
};

enum class BenchDelta { none, same, other };

// What is measured, made once: weights of the shape drawn on the device, and deltas of both vocabularies.
struct BenchModels {
  std::string shape;
  std::shared_ptr<const model::DecoderModel> base, delta, other_delta;  // deltas: null where not measured
  std::shared_ptr<const text::Tokenizer> tokenizer, other_tokenizer;
  std::shared_ptr<const token_map::TokenMap> map;  // null without a delta of another vocabulary
  double seconds = 0, bytes = 0;                   // of the base's weights: to make, and how many

  fusion::Base fusion_base() const { return {base, tokenizer}; }
  std::vector<fusion::Delta> deltas(BenchDelta which) const;
};
BenchModels make_models(const std::string& shape, const checkpoint::ModelConfig& config, const BenchSettings& settings);

// Random weights N(0, 0.02) drawn on the device itself by LibTorch's generators, which are seeded: any size in moments,
// but other numbers on each kind of device, for measuring alone.
model::DecoderModel drawn_on_device(checkpoint::ModelConfig config, uint64_t seed, torch::Dtype dtype,
                                    torch::Device device);

// The goals of docs/gpu.md, "On a GPU": of a GPU alone, none elsewhere.
std::optional<double> goal_on_gpu(const BenchSettings& settings, double goal);

// A few tokens through the base, so that what is done once (handles, modules, packed weights) is in no figure.
void warm_up(const BenchModels& models, BenchSettings settings);
// Decoding at one batch: tokens/s alone and with each delta, the part of the wall that they reach, prefill, and on CUDA
// how long the device waits between kernels.
void measure_decoding(const BenchModels& models, const Machine& machine, const BenchSettings& settings, int64_t batch,
                      std::vector<Measure>& measures);
// Scoring of known answers; a training step of a delta with the base's states kept.
void measure_scoring(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                     std::vector<Measure>& measures);
void measure_training(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                      std::vector<Measure>& measures);

// Random tokens of a model's vocabulary; the same for the same seed.
std::vector<int32_t> some_tokens(int64_t count, int64_t vocabulary, uint64_t seed);

}  // namespace cmc::stages
