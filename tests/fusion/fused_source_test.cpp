#include "pipeline/fusion/fused_source.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/fusion/step_runner.hpp"
#include "tests/fusion/character_tokenizer.hpp"
#include "tests/fusion/forced_log_probs.hpp"
#include "tests/fusion/tiny_models.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t vocabulary = 24;

std::vector<BaseToken> random_tokens(size_t count, Random& random) {
  std::vector<BaseToken> tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back({static_cast<int32_t>(random.below(vocabulary))});
  return tokens;
}

Base plain_base() {
  return {tiny_llama(vocabulary, 1), nullptr};
}

std::vector<Delta> same_vocabulary_deltas() {
  return {delta_model(tiny_llama(vocabulary, 2)), proxy_tuning(tiny_llama(vocabulary, 3), tiny_llama(vocabulary, 4))};
}

std::unique_ptr<LogitSource> same_vocabulary_source(const FusionSettings& settings) {
  return fused_source(plain_base(), same_vocabulary_deltas(), settings);
}

// Log-probabilities [rows, V] of the tokens after these slots' contexts, however many passes their prompts take.
torch::Tensor read_whole(StepRunner& runner, std::span<const int64_t> slots) {
  std::vector<torch::Tensor> rows(slots.size());
  std::vector<int64_t> left(slots.begin(), slots.end());
  while (!left.empty()) {
    const auto read = runner.read(left);
    const auto log_probs = read.logits.log_probs();
    std::vector<int64_t> unread;
    for (size_t i = 0, row = 0; i < left.size(); ++i) {
      if (!read.whole[i])
        unread.push_back(left[i]);
      else
        rows[static_cast<size_t>(std::find(slots.begin(), slots.end(), left[i]) - slots.begin())] =
            log_probs[static_cast<int64_t>(row++)];
    }
    left = unread;
  }
  return torch::stack(rows);
}

// Log-probabilities of each token from `first` on, read one token at a time.
std::vector<float> step_by_step(SteeredContexts& contexts, StepRunner& runner, const ForcedSequence& sequence) {
  std::vector<float> log_probs;
  const auto first = static_cast<size_t>(sequence.first);
  const std::vector<int64_t> slots{0};
  contexts.open(0, {{sequence.tokens.begin(), sequence.tokens.begin() + sequence.first}, {}, sequence.steering});
  for (size_t t = first; t < sequence.tokens.size(); ++t) {
    log_probs.push_back(read_whole(runner, slots)[0][sequence.tokens[t].value].item<float>());
    contexts.append(0, sequence.tokens[t]);
  }
  contexts.close(0);
  return log_probs;
}

using Terms = std::vector<std::vector<Steering::Term>>;

std::vector<ForcedSequence> mixed_sequences(Random& random) {
  std::vector<ForcedSequence> sequences;
  for (const size_t length : {1, 2, 9, 30, 3, 17})
    for (const std::vector<Steering::Term>& terms :
         Terms{{{0, 0.0f}}, {{0, 1.0f}}, {{1, 0.5f}}, {{0, -2.0f}}, {}, {{1, 0.7f}, {0, 0.4f}}, {{0, 1.5f}, {1, 0.0f}}})
      sequences.push_back({random_tokens(length, random), static_cast<int64_t>(1 + random.below(length)), {terms}});
  return sequences;
}

}  // namespace

TEST(FusedSource, TeacherForcingEqualsReadingOneTokenAtATime) {
  Random random(8);
  for (const auto mode : {FusionMode::base_normalized, FusionMode::both_normalized, FusionMode::raw_sum}) {
    const auto sequences = mixed_sequences(random);
    const FusionSettings settings{mode, 2, 4, 40, 5 * vocabulary, 0, Unmapped::zero, {}, 4, {}};
    const auto together = forced(*same_vocabulary_source(settings), sequences);
    SteeredContexts contexts(plain_base(), same_vocabulary_deltas(), settings);
    StepRunner runner(contexts, settings);
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto alone = step_by_step(contexts, runner, sequences[s]);
      ASSERT_EQ(alone.size(), together[s].size());
      for (size_t i = 0; i < alone.size(); ++i)
        EXPECT_NEAR(alone[i], together[s][i], 1e-3 * (1 + std::abs(alone[i]))) << s << " " << i;
    }
  }
}

// Rows with distinct deltas and strengths share a batch without touching each other, whatever slot they sit in.
TEST(FusedSource, RowsOfABatchAreIndependent) {
  Random random(9);
  const FusionSettings four{FusionMode::base_normalized, 4, 4, 64, 1024},
      one{FusionMode::base_normalized, 1, 4, 64, 1024};
  SteeredContexts together(plain_base(), same_vocabulary_deltas(), four);
  SteeredContexts alone(plain_base(), same_vocabulary_deltas(), one);
  StepRunner run_together(together, four), run_alone(alone, one);
  const std::vector<Steering> steerings{{{{0, 1.0f}, {1, -0.5f}}}, {{{1, 1.0f}}}, {}, {{{0, 2.5f}}}};
  std::vector<std::vector<BaseToken>> contexts;
  for (int64_t slot = 0; slot < 4; ++slot) {
    contexts.push_back(random_tokens(static_cast<size_t>(1 + 3 * slot), random));
    together.open(slot, {contexts.back(), {}, steerings[static_cast<size_t>(slot)]});
  }
  for (int step = 0; step < 5; ++step) {
    const std::vector<int64_t> order{2, 0, 3, 1}, only{0};
    const auto logits = read_whole(run_together, order);
    for (int64_t row = 0; row < 4; ++row) {
      const auto slot = static_cast<size_t>(order[static_cast<size_t>(row)]);
      alone.open(0, {contexts[slot], {}, steerings[slot]});
      EXPECT_TRUE(torch::allclose(logits[row], read_whole(run_alone, only)[0], 1e-4, 1e-4)) << "slot " << slot;
      alone.close(0);
      contexts[slot].push_back({static_cast<int32_t>(random.below(vocabulary))});
      together.append(static_cast<int64_t>(slot), contexts[slot].back());
    }
  }
}

TEST(FusedSource, ProxyTuningIsExpertMinusAntiExpert) {
  Random random(10);
  const std::vector<ForcedSequence> one{{random_tokens(12, random), 12 - 1, {{{0, 0.7f}}}}};
  const auto base = tiny_llama(vocabulary, 1), expert = tiny_llama(vocabulary, 3), anti = tiny_llama(vocabulary, 4);
  const auto source = fused_source({base, nullptr}, {proxy_tuning(expert, anti)}, {});
  const auto logits_of = [&](const model::DecoderModel& model) {
    const torch::NoGradGuard no_gradients;
    std::vector<int64_t> ids;
    for (size_t t = 0; t + 1 < one[0].tokens.size(); ++t) ids.push_back(one[0].tokens[t].value);
    return model.logits(model.hidden({torch::tensor(ids, torch::kInt64), {{0, 11}}, {}, {}, {}, {}}, nullptr))[-1];
  };
  const auto expected =
      (logits_of(*base) + 0.7 * (logits_of(*expert) - logits_of(*anti))).log_softmax(0)[one[0].tokens.back().value];
  EXPECT_NEAR(forced(*source, one)[0].at(0), expected.item<float>(), 1e-4);
}

// Scoring in another vocabulary: the tree pass against one delta pass a prefix.
TEST(FusedSource, OtherVocabularyScoringEqualsOnePassAPrefix) {
  using Begin = CharacterTokenizer::Begin;
  for (const auto begin : {Begin::added, Begin::absent}) {
    const auto base_text =
        std::make_shared<CharacterTokenizer>(std::vector<std::string>{"a", "b", "c", "ab", "bc"}, Begin::added);
    const auto delta_text =
        std::make_shared<CharacterTokenizer>(std::vector<std::string>{"c", "b", "a", "abc", "ca"}, begin);
    auto map = std::make_shared<token_map::TokenMap>();
    map->ids = {{0}, {3}, {2}, {1}, {3}, {-1}};
    map->match.assign(6, token_map::Match::exact);
    map->delta_size = 6;
    const auto base = tiny_llama(6, 11), delta = tiny_llama(6, 12);
    const auto source = fused_source({base, base_text}, {{{{delta, 1.0f}}, delta_text, map}},
                                     {FusionMode::base_normalized, 1, 4, 30, 20});
    Random random(13);
    std::vector<ForcedSequence> sequences;
    for (int s = 0; s < 8; ++s) {
      ForcedSequence sequence{{{0}}, 1, {{{0, s == 3 ? 0.0f : 1.5f}}}};
      for (int t = 0; t < 10 + s; ++t) sequence.tokens.push_back({static_cast<int32_t>(1 + random.below(5))});
      sequences.push_back(sequence);
    }
    const auto scored = forced(*source, sequences);
    const torch::NoGradGuard no_gradients;
    for (size_t s = 0; s < sequences.size(); ++s)
      for (size_t t = 1; t < sequences[s].tokens.size(); ++t) {
        std::vector<int32_t> ids;
        for (size_t i = 0; i < t; ++i) ids.push_back(sequences[s].tokens[i].value);
        const auto last_logits = [](const model::DecoderModel& model, const std::vector<int32_t>& context) {
          const std::vector<int64_t> tokens(context.begin(), context.end());
          return model.logits(model.hidden(
              {torch::tensor(tokens, torch::kInt64), {{0, static_cast<int64_t>(tokens.size())}}, {}, {}, {}, {}},
              nullptr))[-1];
        };
        auto fused = last_logits(*base, ids);
        const auto context =
            delta_text->encode(base_text->decode(ids, text::Tokenizer::SpecialText::skip), text::AddedTokens::as_model);
        if (!context.empty()) {
          const auto shift = last_logits(*delta, context);
          for (int64_t v = 0; v < 6; ++v)
            if (map->ids[static_cast<size_t>(v)].value >= 0)
              fused[v] += sequences[s].steering.alpha_of(0) * shift[map->ids[static_cast<size_t>(v)].value];
        }
        EXPECT_NEAR(scored[s][t - 1], fused.log_softmax(0)[sequences[s].tokens[t].value].item<float>(), 1e-3)
            << s << " " << t;
      }
  }
}

TEST(FusedSource, BadInputIsRefusedByName) {
  const auto source = same_vocabulary_source({});
  EXPECT_THROW(source->open(0, {{}, {}, {}}), BadData);
  EXPECT_THROW(source->open(0, {{{vocabulary}}, {}, {}}), BadData);
  EXPECT_THROW(source->open(0, {{{-1}}, {}, {}}), BadData);
  EXPECT_THROW(source->open(0, {{{1}}, {}, {{{2, 1.0f}}}}), BadData) << "only two deltas";
  EXPECT_THROW(source->open(0, {{{1}}, {}, {{{1, 1.0f}, {0, 1.0f}, {1, 0.5f}}}}), BadData) << "one delta twice";
  EXPECT_THROW(source->open(99, {{{1}}, {}, {}}), Internal);
  source->open(0, {{{1}}, {}, {}});
  EXPECT_THROW(source->open(0, {{{1}}, {}, {}}), Internal) << "in use";
  const auto narrow = fused_source({tiny_llama(vocabulary, 1), nullptr}, {delta_model(tiny_llama(5, 2))}, {});
  EXPECT_THROW(narrow->open(0, {{{7}}, {}, {{{0, 1.0f}}}}), BadData) << "a delta of another vocabulary than it says";
  EXPECT_THROW(
      fused_source({tiny_llama(vocabulary, 1), nullptr}, {proxy_tuning(tiny_llama(5, 2), tiny_llama(6, 3))}, {}),
      BadData);
}

}  // namespace cmc::fusion
