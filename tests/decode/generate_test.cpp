#include "pipeline/decode/generate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "pipeline/core/error.hpp"
#include "tests/decode/letter_source.hpp"

namespace cmc::decode {
namespace {

const auto letters = std::make_shared<const LetterTokenizer>();

std::vector<GenerationRequest> some_requests(size_t count) {
  std::vector<GenerationRequest> requests;
  for (size_t i = 0; i < count; ++i) {
    const auto seed = seed_of({"item", std::to_string(i)});
    requests.push_back({{fusion::tokens_of<BaseToken>(letters->encode(
                             std::string(1 + i % 4, static_cast<char>('a' + i % 26)), text::AddedTokens::none)),
                         {},
                         {}},
                        seed});
  }
  return requests;
}

// How a source may go about it: what it writes is the same.
struct Way {
  int64_t slots, lag;
  size_t chunk;
};
const std::vector<Way> ways{{1, 0, 100}, {3, 0, 1},  {16, 0, 2}, {64, 0, 100}, {1, 1, 100},
                            {3, 1, 100}, {16, 1, 2}, {64, 1, 1}, {5, 2, 3},    {3, 40, 1}};

// How many tokens fit into the first `length` letters; a special token has no letter.
size_t tokens_within(const std::vector<BaseToken>& tokens, size_t length) {
  size_t letters_so_far = 0, kept = 0;
  for (; kept < tokens.size(); ++kept) {
    letters_so_far += letters->vocabulary()[static_cast<size_t>(tokens[kept].value)].bytes.size();
    if (letters_so_far > length) break;
  }
  return kept;
}

// Greedy generation written out for one request.
Generated one_by_one(const GenerationRequest& request, const GenerationSettings& settings) {
  std::vector<BaseToken> context = request.row.prompt;
  Generated result;
  for (int64_t step = 0; step < settings.max_new_tokens; ++step) {
    std::vector<float> logits(28);
    LetterSource::fill(context, logits.data());
    const BaseToken token{static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
    if (std::count(settings.end_tokens.begin(), settings.end_tokens.end(), token.value) > 0) {
      result.reason = StopReason::end_token;
      break;
    }
    context.push_back(token);
    result.tokens.push_back(token);
    result.text += letters->vocabulary()[static_cast<size_t>(token.value)].bytes;
    for (const auto& stop : settings.stop_strings)
      if (const auto at = result.text.find(stop); at != std::string::npos) {
        result.text.resize(at);
        result.tokens.resize(tokens_within(result.tokens, at));
        result.reason = StopReason::stop_string;
        return result;
      }
  }
  return result;
}

}  // namespace

TEST(Generate, EqualsOneRequestAtATimeForAnyNumberOfSlotsLagAndChunk) {
  const auto requests = some_requests(40);
  GenerationSettings settings;
  settings.max_new_tokens = 30;
  settings.end_tokens = {0, 5};
  std::set<StopReason> seen;
  for (const auto& [slots, lag, chunk] : ways) {
    SCOPED_TRACE(testing::Message() << slots << " slots, lag " << lag << ", chunk " << chunk);
    LetterSource source(slots, lag, chunk);
    const auto generated = generate(source, letters, requests, settings);
    ASSERT_EQ(generated.size(), requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto expected = one_by_one(requests[i], settings);
      EXPECT_EQ(generated[i].tokens, expected.tokens) << i;
      EXPECT_EQ(generated[i].text, expected.text) << i;
      EXPECT_EQ(generated[i].reason, expected.reason) << i;
      seen.insert(generated[i].reason);
    }
    EXPECT_EQ(source.open_slots(), 0);
  }
  EXPECT_EQ(seen.size(), 2u) << "both ends are exercised";
}

TEST(Generate, StopStringsAcrossTokensEndTheTextBeforeThem) {
  const auto requests = some_requests(60);
  GenerationSettings settings;
  settings.max_new_tokens = 40;
  settings.end_tokens = {28};
  settings.stop_strings = {"ab", "xy", "nn", "q "};
  // Two-letter stops hardly ever come up by chance: add the ones this source does write.
  LetterSource probe(8);
  for (const auto& plain : generate(probe, letters, std::span(requests).first(6), {40, {}, {}, {}})) {
    ASSERT_GE(plain.text.size(), 12u);
    settings.stop_strings.push_back(plain.text.substr(9, 3));
  }
  for (const int64_t lag : {0, 1, 3}) {
    LetterSource source(7, lag);
    const auto generated = generate(source, letters, requests, settings);
    int stopped = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto expected = one_by_one(requests[i], settings);
      EXPECT_EQ(generated[i].text, expected.text) << i;
      EXPECT_EQ(generated[i].tokens, expected.tokens) << i;
      EXPECT_EQ(generated[i].reason, expected.reason) << i;
      stopped += generated[i].reason == StopReason::stop_string;
    }
    EXPECT_GE(stopped, 3);
  }
}

TEST(Generate, SamplesDependOnTheSeedAloneNotOnBatchOrOrder) {
  auto requests = some_requests(20);
  GenerationSettings settings;
  settings.max_new_tokens = 12;
  settings.sampling = {1.3, 0.9};
  LetterSource one(1), five(5), reversed(5), late(4, 1, 1);
  const auto alone = generate(one, letters, requests, settings), together = generate(five, letters, requests, settings);
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(alone[i].tokens, together[i].tokens);
  const auto with_lag = generate(late, letters, requests, settings);
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(alone[i].tokens, with_lag[i].tokens);
  std::reverse(requests.begin(), requests.end());
  auto backwards = generate(reversed, letters, requests, settings);
  std::reverse(backwards.begin(), backwards.end());
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(alone[i].tokens, backwards[i].tokens);
  requests[0].seed += 1;
  LetterSource other(5);
  EXPECT_NE(generate(other, letters, requests, settings)[0].tokens, backwards.back().tokens);
}

TEST(Generate, AFinishedSlotIsRefilledAtOnce) {
  const auto requests = some_requests(30);
  GenerationSettings settings;
  settings.max_new_tokens = 25;
  settings.end_tokens = {0, 1, 2, 3};
  LetterSource source(4);
  GenerationProgress last;
  generate(source, letters, requests, settings, [&](const GenerationProgress& progress) {
    EXPECT_GE(progress.finished, last.finished);
    EXPECT_GT(progress.tokens, last.tokens);
    last = progress;
  });
  EXPECT_EQ(last.finished, 30);
  EXPECT_EQ(last.total, 30);
  EXPECT_EQ(source.rows, last.tokens) << "no row is computed for a sequence that has ended";
  EXPECT_LE(source.steps, last.tokens / 4 + settings.max_new_tokens) << "slots stay full until the requests run out";
}

// Only a row that ends by what it wrote is computed in vain, once: its greatest length is known beforehand.
TEST(Generate, ALagWastesAtMostOneStepARowThatEnds) {
  const auto requests = some_requests(30);
  GenerationSettings settings;
  settings.max_new_tokens = 25;
  settings.end_tokens = {0, 1, 2, 3};
  LetterSource source(4, 1);
  GenerationProgress last;
  const auto generated = generate(source, letters, requests, settings, [&](const auto& progress) { last = progress; });
  const auto ended = std::count_if(generated.begin(), generated.end(),
                                   [](const auto& each) { return each.reason == StopReason::end_token; });
  EXPECT_GT(ended, 10);
  EXPECT_GT(source.rows, last.tokens) << "a lag of one has its price";
  EXPECT_LE(source.rows, last.tokens + ended);
  settings.end_tokens = {};
  LetterSource unending(4, 1);
  generate(unending, letters, requests, settings);
  EXPECT_EQ(unending.rows, 30 * 25);
}

TEST(Generate, SlotsAreClosedWhenAStepOrTheReportThrows) {
  const auto requests = some_requests(5);
  LetterSource source(2);
  source.fail_at = 3;
  EXPECT_THROW(generate(source, letters, requests, {}), std::runtime_error);
  EXPECT_EQ(source.open_slots(), 0);
  EXPECT_THROW(generate(source, letters, requests, {},
                        [](const auto&) {
                          throw Stopped({"run", "was asked to stop", ""});
                        }),
               Stopped);
  EXPECT_EQ(source.open_slots(), 0);
}

TEST(Generate, NothingToDoIsDone) {
  LetterSource source(2);
  EXPECT_TRUE(generate(source, letters, {}, {}).empty());
  GenerationSettings none;
  none.max_new_tokens = 0;
  EXPECT_TRUE(generate(source, letters, some_requests(2), none)[1].tokens.empty());
  none.max_new_tokens = -1;
  EXPECT_THROW(generate(source, letters, some_requests(2), none), BadExperiment);
  EXPECT_EQ(source.steps, 0);
}

}  // namespace cmc::decode
