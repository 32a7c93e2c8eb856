#include "stages/planning/footprint.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "pipeline/core/files.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "stages/bench/shape_named.hpp"
#include "tests/model/support_configs.hpp"

namespace cmc::stages {
namespace {

Experiment experiment_with(const std::vector<Experiment::Override>& settings) {
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("cmc_footprint_" + std::to_string(::getpid()) + ".ini");
  publish_file(file, "[experiment]\ntitle = T\n[models]\ntemplate = a\ntargets = a\n[model.a]\npath = /a\n");
  return Experiment::read(file, settings);
}

// Against what a model of these sizes and its cache really hold.
TEST(DecodingBytes, AreThoseOfWeightsCacheAndLogits) {
  for (const std::string shape : {"tiny", "gemma3_270m"}) {
    const auto config = shape_named(shape, 1);
    const auto model = model::DecoderModel::random(config, 1, torch::kBFloat16, torch::kCPU);
    const model::KvCache cache = model.make_cache(5, 70);
    size_t weights = 0, kept = 0;
    for (const auto& [name, tensor] : model.parameters()) weights += tensor.nbytes();
    for (int64_t layer = 0; layer < cache.layers(); ++layer)
      for (const torch::Tensor* tensor : {&cache.keys(layer), &cache.values(layer)})
        kept += tensor->narrow(0, 0, 5 * 70).nbytes();
    const auto logits = static_cast<size_t>(5 * config.vocabulary * 4);
    const auto at = [&](const char* dtype, const char* device, int64_t tokens, int ranks) {
      const auto experiment =
          experiment_with({{"compute.dtype", dtype}, {"compute.device", device}, {"compute.batch", "5"}});
      return static_cast<size_t>(decoding_bytes(experiment, config, tokens).on(ranks));
    };
    EXPECT_EQ(at("bfloat16", "cpu", 70, 1), weights + kept + logits);
    EXPECT_EQ(at("auto", "cuda", 70, 1), weights + kept + logits);
    EXPECT_EQ(at("auto", "cuda", 0, 1), weights + logits);
    EXPECT_EQ(at("auto", "cuda", 70, 2), (weights + kept) / 2 + logits);
    EXPECT_EQ(at("float32", "cuda", 70, 1), 2 * (weights + kept) + logits);
    // A CPU's float32 kernels have matrices and output layer packed besides.
    size_t matrices = 0;
    for (const auto& [name, tensor] : model.parameters())
      if (tensor.dim() == 2 && (config.tied_output || name.find("embed_tokens") == std::string::npos))
        matrices += tensor.nbytes();
    EXPECT_EQ(at("auto", "cpu", 70, 1), 2 * (weights + kept + matrices) + logits);
  }
}

TEST(TrainingBytes, AreSharedOut) {
  const auto config = shape_named("tiny", 1);
  const auto weights = static_cast<int64_t>(footprint_of(config).weights());
  const auto experiment = experiment_with({{"compute.device", "cuda"}});
  records::TrainingParameters training;
  EXPECT_EQ(training_bytes(experiment, config, training).on(1), 16 * weights);
  EXPECT_EQ(training_bytes(experiment, config, training).on(4), 4 * weights);
  training.keep = "best";
  EXPECT_EQ(training_bytes(experiment, config, training).on(1), 20 * weights);
  training.lora.emplace();
  EXPECT_EQ(training_bytes(experiment, config, training).on(1), (2 + 2) * weights);
}

// Of every kind of family: all parameters, and what a token's keys and values take.
TEST(Footprint, CountsEveryParameter) {
  for (const auto& [name, config] : model::every_attention()) {
    const auto model = model::DecoderModel::random(config, 1, torch::kFloat32, torch::kCPU);
    const Footprint footprint = footprint_of(config);
    EXPECT_EQ(footprint.weights(), static_cast<double>(model.parameter_count())) << name;
    EXPECT_LE(footprint.active_weights, footprint.matrix_weights) << name;
    EXPECT_EQ(footprint.active_weights<footprint.matrix_weights, config.experts.count> 0) << name;
    int64_t kept = 0;
    const model::KvCache cache = model.make_cache(1, 1);
    for (int64_t layer = 0; layer < cache.layers(); ++layer)
      kept += cache.keys(layer).numel() + cache.values(layer).numel();
    EXPECT_EQ(footprint.cache_per_token * 2, static_cast<double>(kept))
        << name;  // one slot of one token, and the spare
  }
}

// As counted over the published checkpoints of each.
TEST(KnownShapes, HaveThePublishedNumbersOfParameters) {
  const std::map<std::string, double> published = {
      {"smollm2_135m", 134'515'008},  {"gemma3_270m", 268'098'176},   {"llama2_7b", 6'738'415'616},
      {"mistral_7b", 7'241'732'096},  {"llama3_8b", 8'030'261'248},   {"gemma2_9b", 9'241'705'984},
      {"llama2_13b", 13'015'864'320}, {"llama2_70b", 68'976'648'192}, {"stories15m", 15'191'712}};
  for (const auto& [name, parameters] : published)
    EXPECT_EQ(footprint_of(shape_named(name, 0)).weights(), parameters) << name;
}

}  // namespace
}  // namespace cmc::stages
