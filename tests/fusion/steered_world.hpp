#pragma once
#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include "pipeline/core/random.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "tests/fusion/character_tokenizer.hpp"
#include "tests/fusion/tiny_models.hpp"

namespace cmc::fusion {

// A base with deltas of every kind, small enough to be written out: 0 of the same vocabulary, 1 proxy tuning, 2 of
// another vocabulary (token "bc" of the base has no equal there, "</s>" no counterpart at all), 3 proxy tuning there, 4
// the base against itself with the prompt "b".
struct SteeredWorld {
  static constexpr int64_t vocabulary = 7;
  Base base{tiny_llama(vocabulary, 21),
            std::make_shared<CharacterTokenizer>(std::vector<std::string>{"a", "b", "c", "ab", "bc", "cc"},
                                                 CharacterTokenizer::Begin::added)};
  std::shared_ptr<const text::Tokenizer> delta_text = std::make_shared<CharacterTokenizer>(
      std::vector<std::string>{"c", "b", "a", "ab", "abc", "ca"}, CharacterTokenizer::Begin::added);
  std::shared_ptr<token_map::TokenMap> map = std::make_shared<token_map::TokenMap>();
  std::vector<Delta> deltas;

  enum class Lists { none, one_to_many };
  explicit SteeredWorld(Lists lists = Lists::none) {
    using token_map::Match;
    map->ids = {{0}, {3}, {2}, {1}, {4}, {2}, {-1}};
    map->match = {Match::exact, Match::exact,   Match::exact,   Match::exact,
                  Match::exact, Match::inexact, Match::unmapped};
    map->delta_size = vocabulary;
    if (lists == Lists::one_to_many) {
      map->candidates = {{0}, {3}, {6}, {2}, {1}, {4}, {5}, {2}, {1}};
      map->offsets = {0, 1, 3, 4, 5, 7, 9, 9};
    }
    const auto proxies = proxy_tuning(tiny_llama(vocabulary, 23), tiny_llama(vocabulary, 24));
    deltas = {delta_model(tiny_llama(vocabulary, 22)),
              proxies,
              {{{tiny_llama(vocabulary, 25), 1.0f}}, delta_text, map},
              {proxies.parts, delta_text, map},
              contrast_with(base.model)};
  }

  // Prompts of very different lengths; every delta, several and none; several strengths.
  std::vector<Row> rows(size_t count) const {
    Random random(31);
    std::vector<Row> made;
    for (size_t i = 0; i < count; ++i) {
      Row row;
      const uint64_t length = i % 5 == 0 ? 40 + random.below(20) : 1 + random.below(6);
      for (uint64_t t = 0; t < length; ++t) row.prompt.push_back({static_cast<int32_t>(1 + random.below(5))});
      std::vector<int32_t> ids;
      for (const auto token : row.prompt) ids.push_back(token.value);
      const auto read = tokens_of<DeltaToken>(
          delta_text->encode(base.tokenizer->decode(ids, text::SpecialText::skip), text::AddedTokens::as_model));
      row.delta_prompts = {{}, {}, read, read, {{2}}};
      row.steering = {{{static_cast<int64_t>(i % 4), i % 7 == 6 ? 0.0f : static_cast<float>(i % 3) - 0.7f}}};
      if (i % 3 == 2) row.steering.terms.push_back({static_cast<int64_t>((i + 1) % 4), 0.8f});
      if (i % 4 == 1) row.steering.terms.push_back({4, 1.5f});
      made.push_back(std::move(row));
    }
    return made;
  }
};

// The greedy or drawn continuations of `rows`, `length` tokens each, through a source as decoding uses it: slots
// refilled, tokens read as late as its lag allows. `uniforms`: of row i's token t, uniform(i, t).
inline std::vector<std::vector<BaseToken>> continuations(LogitSource& source, const std::vector<Row>& rows,
                                                         size_t length, const Sampling& sampling) {
  struct Step {
    std::shared_ptr<Chosen> chosen;
    std::vector<size_t> rows;
  };
  std::vector<std::vector<BaseToken>> texts(rows.size());
  std::vector<size_t> asked(rows.size(), 0);
  std::vector<int64_t> in_slot(static_cast<size_t>(source.slots()), -1);
  std::deque<Step> steps;
  size_t next = 0;
  const auto uniform = [](size_t row, size_t token) { return Random(1000 * row + token).uniform(); };
  for (bool busy = true; busy;) {
    Step step;
    std::vector<Turn> turns;
    for (size_t slot = 0; slot < in_slot.size(); ++slot) {
      auto& row = in_slot[slot];
      if (row >= 0 && asked[static_cast<size_t>(row)] == length) source.close(static_cast<int64_t>(slot)), row = -1;
      if (row < 0 && next < rows.size())
        source.open(static_cast<int64_t>(slot), rows[next]), row = static_cast<int64_t>(next++);
      if (row < 0) continue;
      const auto number = static_cast<size_t>(row);
      turns.push_back({static_cast<int64_t>(slot), uniform(number, asked[number])});
      step.rows.push_back(number);
    }
    busy = !turns.empty();
    if (busy) {
      step.chosen = source.step(turns, sampling);
      for (size_t i = 0; i < turns.size(); ++i) asked[step.rows[i]] += step.chosen->chose(i);
      steps.push_back(std::move(step));
    }
    while (std::ssize(steps) > (busy ? source.lag() : 0)) {
      const auto& tokens = steps.front().chosen->tokens();
      for (size_t i = 0; i < tokens.size(); ++i)
        if (steps.front().chosen->chose(i)) texts[steps.front().rows[i]].push_back(tokens[i]);
      steps.pop_front();
    }
  }
  return texts;
}

}  // namespace cmc::fusion
