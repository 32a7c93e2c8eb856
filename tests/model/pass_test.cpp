// One body for every device: passes over a cache give the states of whole sequences read alone with gradients on,
// whoever computes its operations. (Those in turn are compared with transformers in test_tiny_models.py.)
#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/op_path.hpp"
#include "tests/model/split_over_threads.hpp"
#include "tests/model/support_configs.hpp"

namespace cmc::model {
namespace {

const std::vector<OpPath> every_path = {OpPath::cpu_kernels, OpPath::device_kernels, OpPath::torch};

using Text = std::vector<int32_t>;

Text some_text(Random& random, int64_t count) {
  Text text;
  for (int64_t i = 0; i < count; ++i) text.push_back(static_cast<int32_t>(random.below(50)));
  return text;
}

// What each slot reads in one pass, after it was cut to a prefix (-1: as it is).
struct Piece {
  int64_t slot, tokens, cut = -1;
};
// Prompts in chunks beside slots that decode, of very different lengths; refilled, cut and shorter than a window.
const std::vector<std::vector<Piece>> passes = {
    {{3, 20}, {0, 3}},
    {{3, 1}, {1, 17}, {0, 2}},
    {{1, 18}, {3, 1}, {0, 1}, {4, 1}},
    {{0, 7, 0}, {3, 4, 9}, {2, 1}},
    {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}},  // the cache where it lies
    {{4, 2}, {2, 25}, {0, 1}},
};

void expect_close(const torch::Tensor& ours, const torch::Tensor& truth, const std::string& where) {
  ASSERT_EQ(ours.sizes(), truth.sizes()) << where;
  ASSERT_TRUE(ours.isfinite().all().item<bool>()) << where;
  EXPECT_LT((ours - truth).abs().max().item<double>(), 1e-5 * truth.abs().max().item<double>()) << where;
}

// States of a whole text, by autograd's operations.
torch::Tensor alone(const DecoderModel& model, const Text& text) {
  const torch::AutoGradMode gradients(true);
  ModelInput input;
  input.tokens = torch::tensor(std::vector<int64_t>(text.begin(), text.end()));
  input.spans = {{0, std::ssize(text)}};
  return model.hidden(input, nullptr).detach();
}

// Runs `passes` with `model` and compares every state with `truth`, the same model whole.
void follow(const DecoderModel& model, const DecoderModel& truth, const std::string& name) {
  Random random(7);
  KvCache cache = model.make_cache(5, 24);
  PlanBuffers buffers(model.device(), 64);
  std::vector<Text> texts(5);
  for (size_t number = 0; number < passes.size(); ++number) {
    PassInput input;
    int64_t longest = 0;
    for (const Piece& piece : passes[number]) {
      Text& text = texts[static_cast<size_t>(piece.slot)];
      if (piece.cut >= 0) {
        cache.truncate(piece.slot, piece.cut);
        text.resize(static_cast<size_t>(piece.cut));
      }
      const Text more = some_text(random, piece.tokens);
      text.insert(text.end(), more.begin(), more.end());
      input.tokens.insert(input.tokens.end(), more.begin(), more.end());
      input.spans.push_back({piece.slot, piece.tokens});
      longest = std::max(longest, std::ssize(text));
    }
    if (longest > cache.capacity()) cache.grow(longest);
    const torch::Tensor states = model.hidden(buffers.upload(model.plan(input, cache)), cache);
    int64_t row = 0;
    for (const Piece& piece : passes[number]) {
      cache.advance(piece.slot, piece.tokens);
      const torch::Tensor whole = alone(truth, texts[static_cast<size_t>(piece.slot)]);
      expect_close(states.narrow(0, row, piece.tokens), whole.narrow(0, whole.size(0) - piece.tokens, piece.tokens),
                   name + ", pass " + std::to_string(number) + ", slot " + std::to_string(piece.slot));
      row += piece.tokens;
    }
  }
}

TEST(Pass, GivesWhatWholeSequencesGive) {
  const torch::NoGradGuard no_gradients;
  for (const auto& [name, config] : every_attention()) {
    const DecoderModel model = DecoderModel::random(config, 3, torch::kFloat32, torch::kCPU);
    for (const OpPath path : every_path) {
      const ForcedPath forced(path);
      follow(model, model, name + ", path " + std::to_string(static_cast<int>(path)));
    }
  }
}

TEST(Pass, WithoutACacheTheSame) {
  Random random(9);
  ModelInput input;
  std::vector<int64_t> packed;
  for (const int64_t tokens : {7, 21, 1, 20, 70}) {
    const Text text = some_text(random, tokens);
    packed.insert(packed.end(), text.begin(), text.end());
    input.spans.push_back({0, tokens});
  }
  input.tokens = torch::tensor(packed);
  for (const auto& [name, config] : every_attention()) {
    const DecoderModel model = DecoderModel::random(config, 3, torch::kFloat32, torch::kCPU);
    const torch::Tensor truth = model.hidden(input, nullptr);
    const torch::NoGradGuard no_gradients;
    for (const OpPath path : every_path) {
      const ForcedPath forced(path);
      expect_close(model.hidden(input, nullptr), truth, name + ", path " + std::to_string(static_cast<int>(path)));
    }
  }
}

TEST(Pass, OverTwoRanksTheSame) {
  for (const auto& [name, config] : every_attention()) {
    if (name != "grouped" && name != "window" && name != "gemma" && name != "one key head, bias") continue;
    const auto whole = [&config] { return DecoderModel::random(config, 3, torch::kFloat32, torch::kCPU); };
    split_over_threads(whole(), [&](int, const DecoderModel& part) {
      const DecoderModel truth = whole();
      for (const OpPath path : every_path) {
        const ForcedPath forced(path);
        follow(part, truth, name + " over two ranks");
      }
    });
  }
}

// A token that the device chose is read where it lies, rows that pad a batch change nothing, and only the states wanted
// come back.
TEST(Pass, FeedsBackPadsAndSelects) {
  const torch::NoGradGuard no_gradients;
  for (const auto& [name, config] : {every_attention().front(), every_attention()[5]}) {
    const DecoderModel model = DecoderModel::random(config, 3, torch::kFloat32, torch::kCPU);
    for (const OpPath path : every_path) {
      const ForcedPath forced(path);
      KvCache plain = model.make_cache(3, 30), fed = model.make_cache(3, 30);
      PlanBuffers buffers(model.device(), 0);
      for (KvCache* cache : {&plain, &fed}) {
        const PassPlan prompt = model.plan({{1, 2, 3, 4, 5}, {{2, 2}, {0, 3}}, {1, 4}, {}}, *cache);
        model.hidden(buffers.upload(prompt), *cache);
        cache->advance(2, 2);
        cache->advance(0, 3);
      }
      const torch::Tensor all =
          model.hidden(buffers.upload(model.plan({{7, 9, 11, 12}, {{2, 1}, {0, 1}, {1, 2}}, {}, {}}, plain)), plain);
      const torch::Tensor chosen = torch::tensor({9, 45, 7, 0}, torch::kInt32);  // by slot
      const PassInput input{{chosen_token, 0, chosen_token, 11, 12, 0},
                            {{2, 1}, {fed.spare_slot(), 1}, {0, 1}, {1, 2}, {fed.spare_slot(), 1}},
                            {4, 0, 2},
                            {}};
      const torch::Tensor some = model.hidden(buffers.upload(model.plan(input, fed), chosen), fed);
      expect_close(some, all.index_select(0, torch::tensor({3, 0, 1})), name);
      EXPECT_EQ(fed.length(fed.spare_slot()), 0);
    }
  }
}

TEST(Pass, PlansOfOneShapeLieAtTheSameAddresses) {
  const DecoderModel model = DecoderModel::random(small_llama(), 3, torch::kFloat32, torch::kCPU);
  KvCache cache = model.make_cache(4, 30);
  PlanBuffers buffers(model.device(), 64);
  const PassPlan first = model.plan({{1, 2}, {{0, 1}, {3, 1}}, {}, {}}, cache);
  const DevicePlan before = buffers.upload(first);
  const PassPlan larger = model.plan({{1, 2, 3}, {{0, 1}, {3, 2}}, {}, {}}, cache);
  EXPECT_FALSE(larger.shape == first.shape);
  buffers.upload(larger);
  const PassPlan second = model.plan({{4, 5}, {{2, 1}, {1, 1}}, {}, {}}, cache);
  EXPECT_EQ(second.shape, first.shape);
  const DevicePlan after = buffers.upload(second);
  EXPECT_EQ(before.key_lengths.data_ptr(), after.key_lengths.data_ptr());
  EXPECT_EQ(after.slots[0].item<int32_t>(), 2);
  EXPECT_EQ(after.key_starts[1].item<int32_t>(), 30);
  EXPECT_THROW(buffers.upload(model.plan({{chosen_token}, {{0, 1}}, {}, {}}, cache)), Internal);  // from where?
}

TEST(Pass, DynamicScalingIsNotCaptured) {
  EXPECT_TRUE(DecoderModel::random(small_llama(), 1, torch::kFloat32, torch::kCPU).capturable());
  const auto dynamic = small_llama({{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}}});
  EXPECT_FALSE(DecoderModel::random(dynamic, 1, torch::kFloat32, torch::kCPU).capturable());
}

}  // namespace
}  // namespace cmc::model
