// Contracts of DecoderModel and KvCache that need no other program; numbers are compared with transformers in pytest.
#include "pipeline/model/decoder_model.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "tests/model/support_configs.hpp"

namespace cmc::model {
namespace {

checkpoint::ModelConfig tiny_config() {
  return small_llama({{"initializer_range", 0.3}, {"tie_word_embeddings", true}});
}

DecoderModel tiny_model() {
  return DecoderModel::random(tiny_config(), 1, torch::kFloat32, torch::kCPU);
}

ModelInput input_of(std::vector<std::pair<int64_t, std::vector<int64_t>>> texts) {
  ModelInput input;
  std::vector<int64_t> packed;
  for (const auto& [slot, tokens] : texts) {
    input.spans.push_back({slot, static_cast<int64_t>(tokens.size())});
    packed.insert(packed.end(), tokens.begin(), tokens.end());
  }
  input.tokens = torch::tensor(packed, torch::kInt64);
  return input;
}

TEST(DecoderModel, BothPathsAgree) {
  const DecoderModel model = tiny_model();
  const ModelInput input = input_of({{0, {1, 2, 3, 4, 5}}, {0, {6, 7}}, {0, {8, 9, 10, 11, 12}}});
  const torch::Tensor with_gradients = model.logits(model.hidden(input, nullptr));
  const torch::NoGradGuard no_gradients;
  EXPECT_TRUE(torch::allclose(model.logits(model.hidden(input, nullptr)), with_gradients, 1e-4, 1e-5));
}

TEST(DecoderModel, DecodingDoesNotDependOnTheBatch) {
  const torch::NoGradGuard no_gradients;
  const DecoderModel model = tiny_model();
  KvCache together(model.config(), 4, 20, torch::kFloat32, torch::kCPU),
      alone(model.config(), 4, 20, torch::kFloat32, torch::kCPU);
  for (int64_t step = 0; step < 10; ++step) {
    const torch::Tensor all = model.hidden(input_of({{3, {step}}, {0, {step + 7}}, {1, {2 * step}}}), &together);
    const torch::Tensor one = model.hidden(input_of({{0, {step + 7}}}), &alone);
    ASSERT_TRUE(torch::equal(all[1], one[0])) << step;
  }
}

TEST(DecoderModel, SeesWeightsThatChange) {
  DecoderModel model = tiny_model();
  const ModelInput input = input_of({{0, {1, 2, 3}}});
  const auto plain = [&] {
    const torch::NoGradGuard no_gradients;
    return model.logits(model.hidden(input, nullptr));
  };
  const torch::Tensor before = plain();
  model.require_gradients(true);
  model.logits(model.hidden(input, nullptr)).sum().backward();
  {
    const torch::NoGradGuard no_gradients;
    for (const auto& [name, tensor] : model.parameters()) torch::Tensor(tensor).sub_(0.01 * tensor.grad());
  }
  const torch::Tensor reference = model.logits(model.hidden(input, nullptr)).detach();
  EXPECT_FALSE(torch::allclose(reference, before, 1e-3, 1e-3));
  EXPECT_TRUE(torch::allclose(plain(), reference, 1e-4, 1e-4));
  model.require_gradients(false);
  EXPECT_TRUE(torch::allclose(plain(), reference, 1e-4, 1e-4));
  {
    const torch::NoGradGuard no_gradients;
    for (const auto& [name, tensor] : model.parameters()) torch::Tensor(tensor).mul_(1.5);
  }
  const torch::Tensor scaled = plain();
  EXPECT_FALSE(torch::allclose(scaled, reference, 1e-3, 1e-3));
  EXPECT_TRUE(torch::allclose(scaled, model.logits(model.hidden(input, nullptr)), 1e-4, 1e-4));
}

TEST(DecoderModel, WorksInInferenceModeAndTrainsAfterwards) {
  std::unique_ptr<DecoderModel> model;
  {
    const c10::InferenceMode inference;
    model = std::make_unique<DecoderModel>(tiny_model());
    KvCache cache(model->config(), 1, 8, torch::kFloat32, torch::kCPU);
    model->hidden(input_of({{0, {1, 2, 3}}}), &cache);
    model->hidden(input_of({{0, {4}}}), &cache);
    EXPECT_EQ(cache.length(0), 4);
  }
  model->require_gradients(true);
  model->logits(model->hidden(input_of({{0, {1, 2, 3}}}), nullptr)).sum().backward();
  for (const auto& [name, tensor] : model->parameters()) EXPECT_TRUE(tensor.grad().defined()) << name;
}

TEST(DecoderModel, NamesAndCounts) {
  const DecoderModel model = tiny_model();
  EXPECT_EQ(model.parameters().front().first, "model.embed_tokens.weight");
  EXPECT_EQ(model.parameters().back().first, "model.norm.weight");
  EXPECT_EQ(model.parameter_count(), 50 * 32 + 2 * (32 * 32 * 2 + 2 * 16 * 32 + 3 * 48 * 32 + 2 * 32) + 32);
  EXPECT_EQ(model.output_weight().data_ptr(), model.parameters().front().second.data_ptr());
}

TEST(DecoderModel, BrokenInputsAreNamed) {
  const torch::NoGradGuard no_gradients;
  const DecoderModel model = tiny_model();
  KvCache cache(model.config(), 2, 4, torch::kFloat32, torch::kCPU);
  EXPECT_THROW(model.hidden(input_of({{0, {1, 2, 3, 4, 5}}}), &cache), Internal);  // more than the capacity
  EXPECT_THROW(model.hidden(input_of({{3, {1}}}), &cache), Internal);              // no such slot
  EXPECT_THROW(model.hidden(input_of({{2, {1, 2}}}), &cache), Internal);           // the spare one takes one token
  EXPECT_THROW(model.hidden(input_of({{0, {1}}, {0, {2}}}), &cache), Internal);    // one slot twice
  EXPECT_THROW(model.hidden(input_of({{0, {}}}), &cache), Internal);               // an empty span
  EXPECT_THROW(model.hidden(input_of({{0, {50}}}), &cache), BadData);
  EXPECT_THROW(model.hidden(input_of({{0, {-1}}}), &cache), BadData);
  EXPECT_THROW(model.hidden(input_of({{0, {(int64_t{1} << 32) + 1}}}), &cache), BadData);
  EXPECT_THROW(model.plan({{1, 50}, {{0, 2}}, {}, {}}, cache), BadData);
  EXPECT_THROW(model.plan({{1, -2}, {{0, 2}}, {}, {}}, cache), BadData);
  EXPECT_THROW(model.plan({{1, 2}, {{0, 2}}, {2}, {}}, cache), Internal);  // a row that is not there
  EXPECT_THROW(model.plan({{1, 2}, {{0, 1}}, {}, {}}, cache), Internal);   // a token of no span
  EXPECT_EQ(cache.length(0), 0);                                           // nothing was written
  ModelInput input = input_of({{0, {1, 2}}});
  input.tree_mask = torch::ones({2, 3}, torch::kBool);
  EXPECT_THROW(model.hidden(input, &cache), Internal);
}

TEST(KvCache, CutsToPrefixesOnly) {
  KvCache cache(tiny_config(), 2, 8, torch::kFloat32, torch::kCPU);
  cache.advance(1, 5);
  cache.truncate(1, 3);
  EXPECT_EQ(cache.length(1), 3);
  EXPECT_EQ(cache.length(0), 0);
  EXPECT_THROW(cache.truncate(1, 4), Internal);
  EXPECT_THROW(cache.truncate(1, -1), Internal);
  EXPECT_THROW(cache.truncate(2, 0), Internal);
  EXPECT_THROW(cache.advance(1, 6), Internal);
}

TEST(KvCache, GrowsWithWhatItHolds) {
  KvCache cache(tiny_config(), 2, 4, torch::kFloat32, torch::kCPU);
  for (int64_t layer = 0; layer < 2; ++layer) {
    torch::Tensor(cache.keys(layer)).copy_(torch::randn(cache.keys(layer).sizes()));
    torch::Tensor(cache.values(layer)).copy_(torch::randn(cache.values(layer).sizes()));
  }
  cache.advance(0, 2);
  cache.advance(1, 3);
  const torch::Tensor keys = cache.keys(1).clone(), values = cache.values(0).clone();
  cache.grow(5);
  EXPECT_EQ(cache.capacity(), 8);  // at least doubled
  EXPECT_EQ(cache.length(1), 3);
  EXPECT_TRUE(torch::equal(cache.keys(1).narrow(0, 0, 2), keys.narrow(0, 0, 2)));
  EXPECT_TRUE(torch::equal(cache.keys(1).narrow(0, 8, 3), keys.narrow(0, 4, 3)));
  EXPECT_TRUE(torch::equal(cache.values(0).narrow(0, 8, 3), values.narrow(0, 4, 3)));
  EXPECT_EQ(cache.keys(1).narrow(0, 3, 5).abs().max().item<float>(), 0.0f);  // never written: no noise from memory
  EXPECT_THROW(cache.grow(int64_t{1} << 31), Internal);
}

class SavedModel : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("saved_model_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    tiny_model().save(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void change_config(const std::string& key, const Json& value) {
    Json config = read_json(folder_ / "config.json");
    config[key] = value;
    publish_file(folder_ / "config.json", config.dump());
  }
  DecoderModel load() { return DecoderModel::load(folder_, torch::kFloat32, torch::kCPU); }
  std::filesystem::path folder_;
};

TEST_F(SavedModel, ComesBackTheSame) {
  const DecoderModel model = load(), original = tiny_model();
  for (size_t i = 0; i < model.parameters().size(); ++i) {
    EXPECT_EQ(model.parameters()[i].first, original.parameters()[i].first);
    EXPECT_TRUE(torch::equal(model.parameters()[i].second, original.parameters()[i].second));
  }
}

TEST_F(SavedModel, OfAnotherShapeIsRefused) {
  change_config("intermediate_size", 64);
  EXPECT_THROW(load(), BadData);
}

TEST_F(SavedModel, WithMoreLayersThanWeightsIsRefused) {
  change_config("num_hidden_layers", 3);
  EXPECT_THROW(load(), BadData);
}

TEST_F(SavedModel, WithFewerLayersThanWeightsIsReadAsTransformersReadsIt) {
  change_config("num_hidden_layers", 1);
  EXPECT_EQ(load().config().layers, 1) << "the others are left aside, and a warning says so";
}

TEST_F(SavedModel, WithoutItsOutputLayerIsRefused) {
  change_config("tie_word_embeddings", false);
  EXPECT_THROW(load(), BadData);
}

TEST_F(SavedModel, TruncatedIsRefused) {
  const auto file = folder_ / "model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 10);
  EXPECT_THROW(load(), BadData);
}

}  // namespace
}  // namespace cmc::model
