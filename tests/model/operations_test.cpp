// What a pass over a cache asks of its device: few operations a layer, one copy, no wait, no memory that grows.
#include <gtest/gtest.h>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/op_path.hpp"
#include "tests/model/support_configs.hpp"
#include "tests/operation_counter.hpp"

namespace cmc::model {
namespace {

using testing_tools::LiveMemory;
using testing_tools::OperationCounter;
using testing_tools::OperationCounts;

constexpr int64_t batch = 64;

checkpoint::ModelConfig with_layers(checkpoint::ModelConfig config, int64_t layers) {
  const auto pattern = config.kinds;
  config.layers = layers;
  config.kinds.resize(static_cast<size_t>(layers));
  for (size_t i = 0; i < config.kinds.size(); ++i) config.kinds[i] = pattern[i % pattern.size()];
  return config;
}

// Decoding of a full batch: what was chosen is fed back.
class Decoding {
 public:
  explicit Decoding(const checkpoint::ModelConfig& config)
      : model_(DecoderModel::random(config, 1, torch::kFloat32, torch::kCPU)),
        cache_(model_.make_cache(batch, 40)),
        buffers_(torch::kCPU, 1024),
        chosen_(torch::zeros({batch + 1}, torch::kInt32)) {}

  // The first `prompts` slots read so many tokens of a new prompt, all others decode.
  void step(int64_t prompts = 0, int64_t tokens = 0) {
    PassInput input;
    for (int64_t slot = 0; slot < batch; ++slot) {
      const int64_t count = slot < prompts ? tokens : 1;
      input.spans.push_back({slot, count});
      input.tokens.insert(input.tokens.end(), static_cast<size_t>(count), slot < prompts ? 5 : chosen_token);
      input.wanted.push_back(static_cast<int32_t>(input.tokens.size()) - 1);
    }
    const torch::Tensor logits =
        model_.logits(model_.hidden(buffers_.upload(model_.plan(input, cache_), chosen_), cache_));
    chosen_.narrow(0, 0, batch).copy_(logits.argmax(1));
    for (const Span& span : input.spans) cache_.advance(span.slot, span.tokens);
  }

 private:
  DecoderModel model_;
  KvCache cache_;
  PlanBuffers buffers_;
  torch::Tensor chosen_;
};

OperationCounts counts_of_a_step(const checkpoint::ModelConfig& config) {
  Decoding decoding(config);
  decoding.step(batch, 3);
  decoding.step();
  const OperationCounter counter;
  decoding.step();
  return counter.counts();
}

std::string list(const OperationCounts& counts) {
  std::string text;
  for (const auto& [name, count] : counts.by_name) text += name + " " + std::to_string(count) + ", ";
  return text;
}

class Operations : public ::testing::Test {
 protected:
  torch::NoGradGuard no_gradients_;
  ForcedPath torch_path_{OpPath::torch};
};

TEST_F(Operations, AtMostFourteenALayerAndPass) {
  const std::vector<std::tuple<std::string, checkpoint::ModelConfig, int64_t>> kinds = {
      {"llama", small_llama(), 9},
      {"llama with biases", small_llama({{"attention_bias", true}, {"mlp_bias", true}}), 9},
      {"mistral", small_llama({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 9}}), 9},
      {"gemma", small_gemma(), 9}};
  for (const auto& [name, config, of_a_layer] : kinds) {
    const OperationCounts base = counts_of_a_step(with_layers(config, 32));
    const OperationCounts delta = counts_of_a_step(with_layers(config, 4));
    EXPECT_EQ(base.launches - delta.launches, 28 * of_a_layer) << name << ": " << list(base);
    // Around the layers: the embedding, what layers share, the final norm, logits and the choice.
    EXPECT_LE(delta.launches, 4 * of_a_layer + 14) << name << ": " << list(delta);
    EXPECT_LE(base.launches + delta.launches, 36 * 14) << name;
  }
}

TEST_F(Operations, OneCopyToTheDeviceAndNoWait) {
  for (const auto& config : {small_llama(), small_gemma()}) {
    Decoding decoding(config);
    decoding.step(batch, 3);
    for (const auto& [prompts, tokens] : {std::pair<int64_t, int64_t>{0, 0}, {2, 4}, {1, 20}, {0, 0}}) {
      const OperationCounter counter;
      decoding.step(prompts, tokens);
      EXPECT_EQ(counter.counts().copies, 1) << prompts;
      EXPECT_EQ(counter.counts().waits, 0) << prompts;
    }
  }
}

TEST_F(Operations, WaitsAndCopiesAreSeen) {
  const torch::Tensor numbers = torch::arange(4);
  const OperationCounter counter;
  numbers.max().item<int64_t>();
  EXPECT_GE(counter.counts().waits, 1);
  EXPECT_EQ(counter.counts().launches, 2) << list(counter.counts());  // max and the read
  torch::nonzero(numbers);
  EXPECT_GE(counter.counts().waits, 2);
  EXPECT_EQ(counter.counts().copies, 0);
  numbers.to(torch::Device(torch::kCPU));
  numbers.cpu();
  EXPECT_EQ(counter.counts().copies, 2);
  numbers.to(torch::kFloat32);
  EXPECT_EQ(counter.counts().copies, 2);
}

TEST_F(Operations, MemoryDoesNotGrowAfterTheFirstSteps) {
  for (const OpPath path : {OpPath::torch, OpPath::cpu_kernels}) {
    const ForcedPath forced(path);
    Decoding decoding(small_llama());
    decoding.step(batch, 3);
    decoding.step(2, 4);
    decoding.step();
    const LiveMemory memory;
    {
      const torch::Tensor seen = torch::empty({1000});
      ASSERT_GE(memory.bytes(), 4000);
    }
    for (int step = 0; step < 10; ++step) decoding.step();
    EXPECT_EQ(memory.bytes(), 0);
  }
}

}  // namespace
}  // namespace cmc::model
