// Gradients of a pass whose layers are computed again, adapters' dropout, snapshots.
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <atomic>

#include "pipeline/model/adapter.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/lora.hpp"

namespace cmc::model {
namespace {
using torch::Tensor;

DecoderModel model_of(const char* architecture) {
  Json config = {{"architectures", {architecture}},
                 {"vocab_size", 50},
                 {"hidden_size", 32},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", 8},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 8},
                 {"max_position_embeddings", 512},
                 {"initializer_range", 0.2},
                 {"tie_word_embeddings", true}};
  if (std::string(architecture) == "Gemma3ForCausalLM") {
    config["sliding_window"] = 20;
    config["query_pre_attn_scalar"] = 8;
    config["rope_local_base_freq"] = 10000.0;
    config["sliding_window_pattern"] = 2;
  }
  return DecoderModel::random(checkpoint::parse_model_config(config, "config.json"), 1, torch::kFloat32, torch::kCPU);
}

ModelInput some_input() {
  ModelInput input;
  input.spans = {{0, 90}, {0, 120}, {0, 7}};
  torch::manual_seed(2);
  input.tokens = torch::randint(50, {217}, torch::kLong);
  return input;
}

// Counts the bytes that are in use, and the most that ever were.
class PeakAllocator : public c10::Allocator {
 public:
  PeakAllocator() : inner_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, 100); }
  ~PeakAllocator() override { c10::SetCPUAllocator(inner_, 100); }
  c10::DataPtr allocate(size_t bytes) override {
    auto* const block = new Block{inner_->allocate(bytes), static_cast<int64_t>(bytes)};
    in_use += block->bytes;
    peak = std::max<int64_t>(peak, in_use);
    return {block->memory.get(), block, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t count) const override { inner_->copy_data(to, from, count); }
  static inline std::atomic<int64_t> in_use = 0, peak = 0;

 private:
  struct Block {
    c10::DataPtr memory;
    int64_t bytes;
  };
  static void release(void* block) {
    in_use -= static_cast<Block*>(block)->bytes;
    delete static_cast<Block*>(block);
  }
  c10::Allocator* inner_;
};

// Sum of squares of the states, and the gradient of each trainable tensor.
std::vector<Tensor> gradients(DecoderModel& model, const ModelInput& input) {
  model.require_gradients(true);
  for (const auto& [name, tensor] : model.trainable()) torch::Tensor(tensor).mutable_grad() = torch::zeros_like(tensor);
  const Tensor loss = model.hidden(input, nullptr).square().sum();
  loss.backward();
  std::vector<Tensor> results = {loss.detach()};
  for (const auto& [name, tensor] : model.trainable()) results.push_back(tensor.grad());
  return results;
}

void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(torch::equal(a[i], b[i])) << i;
  EXPECT_GT(a[1].abs().max().item<float>(), 0.0f);
}

class Recomputed : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Architectures, Recomputed, testing::Values("LlamaForCausalLM", "Gemma3ForCausalLM"));

TEST_P(Recomputed, LayersGiveTheSameGradientForLessMemory) {
  DecoderModel model = model_of(GetParam());
  ModelInput input = some_input();
  gradients(model, input);  // what is made once is made
  const auto measured = [&](std::vector<Tensor>& results) {
    const PeakAllocator counter;
    const int64_t before = PeakAllocator::in_use;
    PeakAllocator::peak = before;
    results = gradients(model, input);
    return PeakAllocator::peak - before;
  };
  std::vector<Tensor> kept, again;
  const int64_t keeping = measured(kept);
  input.recompute_layers = true;
  const int64_t recomputing = measured(again);
  expect_same_bits(kept, again);
  EXPECT_LT(recomputing, keeping / 3) << "of eight layers one is held, and the inputs of all";
}

TEST_P(Recomputed, AdaptersDropTheSameInputsAgain) {
  DecoderModel model = model_of(GetParam()).with_adapters({.rank = 4, .alpha = 8, .dropout = 0.3}, 1);
  ModelInput input = some_input();
  input.dropout_seed = 11;
  const std::vector<Tensor> kept = gradients(model, input);
  expect_same_bits({kept[0], kept[2]}, {gradients(model, input)[0], gradients(model, input)[2]});
  input.recompute_layers = true;
  const std::vector<Tensor> again = gradients(model, input);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(torch::equal(kept[i], again[i])) << i;
  input.dropout_seed = 12;
  EXPECT_FALSE(torch::equal(gradients(model, input)[2], kept[2]));
  input.dropout_seed.reset();
  EXPECT_FALSE(torch::equal(gradients(model, input)[2], kept[2]));
}

// E(x · mask / (1 − p)) = x, each input with a chance of its own, and other ones in every layer.
TEST(Adapter, DropsInputsAtItsRate) {
  const int64_t rows = 200, width = 100;
  Adapter adapter{.a = torch::eye(width), .b = torch::eye(width), .scale = 2.0, .dropout = 0.25, .stream = 3};
  const Tensor x = torch::rand({rows, width}) + 1.0, seen = adapter(x, 7) / (2.0 * x);
  const Tensor kept = seen > 0;
  EXPECT_NEAR(kept.to(torch::kFloat64).mean().item<double>(), 0.75, 0.016);  // 5 standard deviations
  EXPECT_TRUE(torch::allclose(seen.masked_select(kept), torch::full({kept.sum().item<int64_t>()}, 1 / 0.75f)));
  EXPECT_TRUE(torch::equal(adapter(x, 7), adapter(x, 7)));
  EXPECT_TRUE(torch::allclose(adapter(x, std::nullopt), 2.0 * x));
  const auto agreement = [&](const Tensor& other) {
    return ((other / (2.0 * x) > 0) == kept).to(torch::kFloat64).mean().item<double>();
  };
  const double independent = 0.75 * 0.75 + 0.25 * 0.25;
  EXPECT_NEAR(agreement(adapter(x, 8)), independent, 0.018);
  adapter.stream = 4;
  EXPECT_NEAR(agreement(adapter(x, 7)), independent, 0.018);
}

TEST(Adapters, AreAllThatTrains) {
  const DecoderModel base = model_of("LlamaForCausalLM");
  DecoderModel model = base.with_adapters({.rank = 4, .targets = {"q_proj", "down_proj"}}, 1);
  EXPECT_EQ(model.trainable().size(), 8u * 2 * 2);
  EXPECT_EQ(base.trainable().size(), base.parameters().size());
  gradients(model, some_input());
  for (const auto& [name, tensor] : base.parameters()) {
    EXPECT_FALSE(tensor.requires_grad()) << name;
    EXPECT_FALSE(tensor.grad().defined()) << name;
  }
  EXPECT_EQ(base.adapters(), nullptr);
  EXPECT_EQ(model.adapters()->rank, 4);
  EXPECT_EQ(model.output_weight().data_ptr(), base.output_weight().data_ptr()) << "the weights are shared";
}

TEST(Adapters, HalfPrecisionWeightsTakeFloat32Adapters) {
  const DecoderModel wide = model_of("LlamaForCausalLM");
  const DecoderModel narrow =
      DecoderModel::random(wide.config(), 1, torch::kBFloat16, torch::kCPU).with_adapters({.rank = 4}, 1);
  EXPECT_EQ(narrow.trainable().front().second.scalar_type(), torch::kFloat32);
  EXPECT_EQ(narrow.hidden(some_input(), nullptr).scalar_type(), torch::kBFloat16);
}

TEST(Adapters, MergedWeightsAreRoundedOnce) {
  const torch::NoGradGuard no_gradients;
  const DecoderModel base =
      DecoderModel::random(model_of("LlamaForCausalLM").config(), 1, torch::kBFloat16, torch::kCPU);
  const DecoderModel adapted = base.with_adapters({.rank = 4, .targets = {"q_proj"}}, 1);
  for (const auto& [name, tensor] : adapted.trainable()) Tensor(tensor).normal_();
  const DecoderModel merged = adapted.merged();
  const Tensor a = adapted.trainable()[0].second, b = adapted.trainable()[1].second;
  const Tensor before = base.parameters()[1].second, after = merged.parameters()[1].second;
  ASSERT_EQ(base.parameters()[1].first, "model.layers.0.self_attn.q_proj.weight");
  const Tensor sum = before.to(torch::kFloat32) + torch::mm(b, a) * (32.0 / 4);
  EXPECT_TRUE(torch::equal(after, sum.to(torch::kBFloat16)));
}

TEST(Snapshot, KeepsTheValuesAndSharesWhatIsFrozen) {
  const torch::NoGradGuard no_gradients;
  DecoderModel base = model_of("LlamaForCausalLM");
  const DecoderModel adapted = base.with_adapters({.rank = 4}, 1);
  for (const DecoderModel& model : {base, adapted}) {
    const DecoderModel before = model.snapshot();
    const Tensor states = before.hidden(some_input(), nullptr);
    EXPECT_TRUE(torch::equal(states, model.hidden(some_input(), nullptr)));
    for (const auto& [name, tensor] : model.trainable()) Tensor(tensor).add_(0.1);
    EXPECT_FALSE(torch::equal(states, model.hidden(some_input(), nullptr)));
    EXPECT_TRUE(torch::equal(states, before.hidden(some_input(), nullptr)));
  }
  EXPECT_EQ(adapted.snapshot().output_weight().data_ptr(), base.output_weight().data_ptr());
  EXPECT_NE(base.snapshot().output_weight().data_ptr(), base.output_weight().data_ptr());
  EXPECT_EQ(adapted.merged().adapters(), nullptr);
  EXPECT_TRUE(torch::allclose(adapted.merged().hidden(some_input(), nullptr), adapted.hidden(some_input(), nullptr),
                              1e-3, 1e-4));
}

}  // namespace
}  // namespace cmc::model
