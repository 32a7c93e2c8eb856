// Who holds what of a split model, and that loading touches nothing else. Numbers are compared with one rank and with
// transformers in test_tensor_parallel.py.
#include "pipeline/model/tensor_split.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/distributed/thread_transport.hpp"
#include "pipeline/model/decoder_model.hpp"

namespace cmc::model {
namespace {

checkpoint::ModelConfig config_of(int64_t heads, int64_t kv_heads) {
  checkpoint::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = 4;
  config.intermediate = 11;
  config.vocabulary = 10;
  return config;
}

TEST(SplitModel, EveryQueryHeadFindsItsKeyHead) {
  for (const auto& [heads, kv_heads, size] : {std::tuple{8, 8, 4},
                                              {8, 2, 2},
                                              {8, 2, 4},
                                              {8, 2, 8},
                                              {9, 3, 3},
                                              {6, 2, 3},
                                              {12, 4, 3},
                                              {12, 4, 6},
                                              {6, 1, 2}}) {
    const auto config = config_of(heads, kv_heads);
    for (int rank = 0; rank < size; ++rank) {
      const TensorSplit split = split_model(config, {rank, size});
      const auto& read = split.key_heads;
      ASSERT_EQ(split.local.heads, heads / size);
      ASSERT_EQ(static_cast<int64_t>(read.size()), split.local.kv_heads);
      ASSERT_EQ(split.local.heads % split.local.kv_heads, 0);
      for (int64_t head = 0; head < split.local.heads; ++head) {
        const int64_t global = rank * split.local.heads + head, group = split.local.heads / split.local.kv_heads;
        EXPECT_EQ(read[static_cast<size_t>(head / group)], global / (heads / kv_heads));
      }
    }
  }
}

TEST(SplitModel, KeyHeadsAreHeldOnceWhereTheyCanBe) {
  EXPECT_EQ(split_model(config_of(8, 4), {1, 2}).local.kv_heads, 2);
  EXPECT_EQ(split_model(config_of(8, 2), {3, 4}).local.kv_heads, 1);  // each by two ranks
  EXPECT_EQ(split_model(config_of(6, 2), {1, 3}).key_heads, (std::vector<int64_t>{0, 1}));
}

TEST(SplitModel, TheRestIsDealtWholly) {
  const auto config = config_of(6, 2);
  int64_t width = 0, rows = 0;
  for (int rank = 0; rank < 3; ++rank) {
    const TensorSplit split = split_model(config, {rank, 3});
    EXPECT_EQ(split.intermediate.ranges.front().first, width);
    EXPECT_EQ(split.vocabulary.ranges.front().first, rows);
    EXPECT_EQ(split.local.intermediate, split.intermediate.count());
    width += split.intermediate.count();
    rows += split.vocabulary.count();
  }
  EXPECT_EQ(width, config.intermediate);
  EXPECT_EQ(rows, config.vocabulary);
}

TEST(SplitModel, HeadsThatCannotBeDealtAreRefusedWithWhatFits) {
  try {
    split_model(config_of(9, 3), {0, 2});
    FAIL();
  } catch (const Refused& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("9 attention heads"), std::string::npos) << text;
    EXPECT_NE(text.find("1, 3, 9"), std::string::npos) << text;
  }
}

// Pages that belong to other ranks cannot be read here: a touch would end the test.
TEST(CopySlices, TouchesItsOwnPagesOnly) {
  const int64_t page = sysconf(_SC_PAGESIZE), floats = page / static_cast<int64_t>(sizeof(float)), rows = 6;
  const auto bytes = static_cast<size_t>(rows * 2 * page);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* values = static_cast<float*>(memory);
  for (int64_t i = 0; i < rows * 2 * floats; ++i) values[i] = static_cast<float>(i);
  const std::set<std::pair<int64_t, int64_t>> held = {{1, 1}, {4, 1}, {5, 1}};  // (row, half)
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t half = 0; half < 2; ++half)
      if (!held.contains({row, half})) {
        ASSERT_EQ(mprotect(values + (row * 2 + half) * floats, static_cast<size_t>(page), PROT_NONE), 0);
      }
  const torch::Tensor stored = torch::from_blob(values, {rows, 2 * floats});
  torch::Tensor target = torch::zeros({3, floats});
  copy_slices(stored, {rows, {{1, 1}, {4, 2}}}, {2 * floats, {{floats, floats}}}, target);
  EXPECT_EQ(target[0][0].item<int64_t>(), 3 * floats);
  EXPECT_EQ(target[1][1].item<int64_t>(), 9 * floats + 1);
  EXPECT_EQ(target[2][floats - 1].item<int64_t>(), 12 * floats - 1);
  munmap(memory, bytes);
}

TEST(TensorGroup, ColumnsComeTogetherAndTokensAreCompared) {
  auto ranks = distributed::thread_ranks(3);
  const torch::Tensor whole = torch::arange(40, torch::kFloat32).view({4, 10});
  std::vector<std::jthread> threads;
  for (const distributed::Communicator& rank : ranks) {
    threads.emplace_back([&] {
      const TensorGroup group(rank, torch::kCPU);
      const Range own = share_of(10, group.tensor_rank());
      EXPECT_TRUE(torch::equal(group.gather_columns(whole.narrow(1, own.first, own.count), 10), whole));
      EXPECT_TRUE(torch::equal(group.sum(whole.to(torch::kBFloat16)), (3 * whole).to(torch::kBFloat16)));
      group.expect_same(std::vector<int32_t>{0, 1, 2, -1});
      EXPECT_THROW(group.expect_same(std::vector<int32_t>{0, 1, group.tensor_rank().index, -1}), Internal);
      EXPECT_THROW(group.expect_same(std::vector<int32_t>(static_cast<size_t>(group.tensor_rank().index), 0)),
                   Internal);
      EXPECT_TRUE(each_has_its_own(rank, "card " + std::to_string(group.tensor_rank().index)));
      EXPECT_FALSE(each_has_its_own(rank, "card " + std::to_string(group.tensor_rank().index / 2)));
    });
  }
}

TEST(SplitModel, RunsOverItsGroupOnlyAndIsNotSavedByOneRank) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "split_model";
  std::filesystem::create_directories(folder);
  const auto config = checkpoint::parse_model_config({{"architectures", {"LlamaForCausalLM"}},
                                                      {"model_type", "llama"},
                                                      {"vocab_size", 20},
                                                      {"hidden_size", 8},
                                                      {"intermediate_size", 12},
                                                      {"num_hidden_layers", 1},
                                                      {"num_attention_heads", 2},
                                                      {"num_key_value_heads", 1}},
                                                     "test");
  DecoderModel::random(config, 1, torch::kFloat32, torch::kCPU).save(folder);
  DecoderModel part = DecoderModel::load(folder, torch::kFloat32, torch::kCPU, {1, 2});
  ModelInput input;
  input.tokens = torch::tensor({1, 2}, torch::kInt64);
  input.spans = {{0, 2}};
  EXPECT_THROW(part.hidden(input, nullptr), Internal);
  EXPECT_THROW(part.over(TensorGroup()), Internal);
  EXPECT_EQ(part.output_weight().size(0), 10) << "its share of the vocabulary";
  EXPECT_THROW(part.save(folder), Internal);
}

}  // namespace
}  // namespace cmc::model
