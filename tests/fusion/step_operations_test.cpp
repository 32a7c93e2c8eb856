// What a decoding step asks of its device, counted without one: few operations, one copy each way, no wait, no memory
// that grows.
#include <gtest/gtest.h>

#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/fusion/step_runner.hpp"
#include "pipeline/model/op_path.hpp"
#include "tests/operation_counter.hpp"

namespace cmc::fusion {
namespace {

using testing_tools::LiveMemory;
using testing_tools::OperationCounter;
using testing_tools::OperationCounts;

constexpr int64_t batch = 64, vocabulary = 50, base_layers = 32, delta_layers = 4;

std::shared_ptr<const model::DecoderModel> layered(int64_t layers, uint64_t seed, torch::Device device) {
  const Json config{{"architectures", {"LlamaForCausalLM"}},
                    {"model_type", "llama"},
                    {"vocab_size", vocabulary},
                    {"hidden_size", 16},
                    {"intermediate_size", 32},
                    {"num_hidden_layers", layers},
                    {"num_attention_heads", 4},
                    {"num_key_value_heads", 2},
                    {"max_position_embeddings", 512},
                    {"rms_norm_eps", 1e-5},
                    {"hidden_act", "silu"},
                    {"rope_theta", 10000.0},
                    {"tie_word_embeddings", false}};
  return std::make_shared<const model::DecoderModel>(
      model::DecoderModel::random(checkpoint::parse_model_config(config, "test"), seed, torch::kFloat32, device));
}

// A fused batch whose rows all decode.
class Decoding {
 public:
  Decoding(torch::Device device, bool graphs)
      : settings_(settings_of(graphs)),
        contexts_({layered(base_layers, 1, device), nullptr}, {delta_model(layered(delta_layers, 2, device))},
                  settings_),
        runner_(contexts_, settings_) {
    for (int64_t slot = 0; slot < batch; ++slot) {
      contexts_.open(slot, {{{3}, {static_cast<int32_t>(slot % vocabulary)}, {5}}, {}, {{{0, 0.5f}}}});
      turns_.push_back({slot, 0.5});
    }
  }

  std::shared_ptr<Chosen> step(const Sampling& sampling = {}) { return runner_.step(turns_, sampling); }

 private:
  static FusionSettings settings_of(bool graphs) {
    FusionSettings settings;
    settings.slots = batch;
    settings.initial_capacity = 64;
    settings.graphs = graphs;
    return settings;
  }
  FusionSettings settings_;
  SteeredContexts contexts_;
  StepRunner runner_;
  std::vector<Turn> turns_;
};

std::string list(const OperationCounts& counts) {
  std::string text;
  for (const auto& [name, count] : counts.by_name) text += name + " " + std::to_string(count) + ", ";
  return text;
}

class StepOperations : public ::testing::Test {
 protected:
  torch::NoGradGuard no_gradients_;
  model::ForcedPath torch_path_{model::OpPath::torch};
};

}  // namespace

TEST_F(StepOperations, AtMostFourteenALayerAndASmallConstant) {
  for (const bool graphs : {false, true})
    for (const Sampling sampling : {Sampling{}, Sampling{1.0, 0.9}}) {
      Decoding decoding(torch::kCPU, graphs);
      decoding.step(sampling);
      decoding.step(sampling);
      const OperationCounter counter;
      decoding.step(sampling);
      const auto& counts = counter.counts();
      EXPECT_LE(counts.launches, 14 * (base_layers + delta_layers) + 60) << list(counts);
      EXPECT_GT(counts.launches, 5 * (base_layers + delta_layers)) << list(counts);
      const std::map<std::string, int64_t> one_each_way{{"cmc::download", 1}, {"cmc::upload", 1}};
      EXPECT_EQ(counts.copies_by_name, one_each_way)
          << "plans, places, strengths and draws in one, the tokens in another";
      EXPECT_EQ(counts.waits, 0) << list(counts);
    }
}

TEST_F(StepOperations, MemoryDoesNotGrowAfterTheFirstSteps) {
  for (const bool graphs : {false, true})
    for (const auto path : {model::OpPath::torch, model::OpPath::cpu_kernels}) {
      const model::ForcedPath forced(path);
      Decoding decoding(torch::kCPU, graphs);
      for (int step = 0; step < 3; ++step) decoding.step()->tokens();
      const LiveMemory memory;
      for (int step = 0; step < 10; ++step) decoding.step()->tokens();
      EXPECT_EQ(memory.bytes(), 0);
    }
}

}  // namespace cmc::fusion
