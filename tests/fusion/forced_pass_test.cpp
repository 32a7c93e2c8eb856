#include "pipeline/fusion/forced_pass.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/random.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/fusion/sequence_states.hpp"
#include "tests/fusion/character_tokenizer.hpp"
#include "tests/fusion/forced_log_probs.hpp"
#include "tests/fusion/tiny_models.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t vocabulary = 6;

// A base with a delta of its own vocabulary and one of another.
std::unique_ptr<LogitSource> source_of(int64_t forced_tokens, int64_t forced_logits) {
  using Begin = CharacterTokenizer::Begin;
  const auto base =
      std::make_shared<CharacterTokenizer>(std::vector<std::string>{"a", "b", "c", "ab", "bc"}, Begin::added);
  const auto other =
      std::make_shared<CharacterTokenizer>(std::vector<std::string>{"c", "b", "a", "abc", "ca"}, Begin::absent);
  auto map = std::make_shared<token_map::TokenMap>();
  map->ids = {{0}, {3}, {2}, {1}, {3}, {-1}};
  map->match.assign(vocabulary, token_map::Match::exact);
  map->delta_size = vocabulary;
  std::vector<Delta> deltas = {delta_model(tiny_llama(vocabulary, 2)), delta_model(tiny_llama(vocabulary, 12))};
  deltas.back().tokenizer = other;
  deltas.back().map = map;
  FusionSettings settings;
  settings.forced_tokens = forced_tokens;
  settings.forced_logits = forced_logits;
  return fused_source({tiny_llama(vocabulary, 11), base}, std::move(deltas), settings);
}

// Many neighbours with a common beginning: as one tree they would have far more nodes than one may have.
std::vector<ForcedSequence> neighbours(int count, const Steering& steering) {
  Random random(4);
  const auto token = [&] { return BaseToken{static_cast<int32_t>(1 + random.below(5))}; };
  std::vector<BaseToken> beginning = {{0}};
  while (beginning.size() < 20) beginning.push_back(token());
  std::vector<ForcedSequence> sequences;
  for (int s = 0; s < count; ++s) {
    ForcedSequence& sequence = sequences.emplace_back();
    sequence.tokens = beginning;
    while (sequence.tokens.size() < 100) sequence.tokens.push_back(token());
    sequence.first = 90;
    sequence.steering = steering;
  }
  return sequences;
}

TEST(ForcedPass, TreesAreCutWhereTheyWouldBecomeTooLarge) {
  for (const Steering& steering :
       {Steering{}, Steering{{{0, 1.0f}}}, Steering{{{1, 1.0f}}}, Steering{{{1, 1.0f}, {0, -0.5f}}}}) {
    const auto sequences = neighbours(40, steering);
    ASSERT_GT(40 * 80, largest_tree);
    const auto together = forced(*source_of(1 << 20, 1 << 20), sequences), alone = forced(*source_of(1, 1), sequences);
    for (size_t s = 0; s < sequences.size(); ++s) {
      ASSERT_EQ(together[s].size(), 10u);
      for (size_t t = 0; t < 10; ++t) EXPECT_NEAR(together[s][t], alone[s][t], 1e-4) << s << " " << t;
    }
  }
}

TEST(ForcedPass, ChoosesWhatSuitsTheDeviceAndKeepsWhatIsAskedFor) {
  const auto base = tiny_llama(vocabulary, 1);
  const FusionSettings chosen = with_forced_limits({}, *base);
  EXPECT_EQ(chosen.forced_tokens, 1024);
  EXPECT_EQ(chosen.forced_logits, 1 << 24);
  FusionSettings asked;
  asked.forced_tokens = 77;
  asked.forced_logits = 99;
  EXPECT_EQ(with_forced_limits(asked, *base).forced_tokens, 77);
  EXPECT_EQ(with_forced_limits(asked, *base).forced_logits, 99);
}

}  // namespace
}  // namespace cmc::fusion
