#include "pipeline/metrics/rouge.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/metrics/porter_stemmer.hpp"

namespace cmc::metrics {
namespace {

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// ASCII as lower case. Of all other characters two have an ASCII letter in their lower case, as Python's str.lower
// defines it: U+0130 gives i and a combining dot, U+212A (Kelvin) gives k. The rest separates.
std::string lower_case(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130)
      lower += "i ";
    else if (c == 0x212A)
      lower += 'k';
    else if (c >= 0x80)
      lower += ' ';
    else
      lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  }
  return lower;
}

RougeScore score_of(double hits, size_t reference, size_t candidate) {
  RougeScore score;
  score.precision = hits / static_cast<double>(std::max<size_t>(candidate, 1));
  score.recall = hits / static_cast<double>(std::max<size_t>(reference, 1));
  if (score.precision + score.recall > 0)
    score.f_measure = 2 * score.precision * score.recall / (score.precision + score.recall);
  return score;
}

using Ids = std::vector<int32_t>;

// Numbers for words, so that comparing is cheap.
struct TokenizedPair {
  Ids reference, candidate;
};

TokenizedPair tokenize(std::string_view reference, std::string_view candidate, Stemming stemming) {
  std::unordered_map<std::string, int32_t> numbers;
  const auto number = [&](std::string_view text) {
    Ids ids;
    for (auto& token : rouge_tokens(text, stemming))
      ids.push_back(numbers.emplace(std::move(token), static_cast<int32_t>(numbers.size())).first->second);
    return ids;
  };
  TokenizedPair pair;
  pair.reference = number(reference);
  pair.candidate = number(candidate);
  return pair;
}

std::map<Ids, int64_t> count_ngrams(const Ids& tokens, size_t n) {
  std::map<Ids, int64_t> counts;
  for (size_t i = 0; i + n <= tokens.size(); ++i)
    ++counts[Ids(tokens.begin() + static_cast<ptrdiff_t>(i), tokens.begin() + static_cast<ptrdiff_t>(i + n))];
  return counts;
}

RougeScore ngram_score(const TokenizedPair& pair, size_t n) {
  const auto reference = count_ngrams(pair.reference, n), candidate = count_ngrams(pair.candidate, n);
  int64_t hits = 0;
  for (const auto& [ngram, count] : reference)
    if (const auto found = candidate.find(ngram); found != candidate.end()) hits += std::min(count, found->second);
  const auto total = [n](const Ids& tokens) { return tokens.size() >= n ? tokens.size() - n + 1 : 0; };
  return score_of(static_cast<double>(hits), total(pair.reference), total(pair.candidate));
}

RougeScore lcs_score(const TokenizedPair& pair) {
  const Ids &a = pair.reference, &b = pair.candidate;
  std::vector<int32_t> length(b.size() + 1, 0);  // of the LCS of a[:i] and b[:j]
  for (const int32_t token : a) {
    int32_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const int32_t above = length[j];
      length[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, length[j - 1]);
      diagonal = above;
    }
  }
  return score_of(length.back(), a.size(), b.size());
}

}  // namespace

std::vector<std::string> rouge_tokens(std::string_view text, Stemming stemming) {
  const std::string lower = lower_case(text);
  std::vector<std::string> tokens;
  for (auto at = lower.begin(); at != lower.end();) {
    at = std::find_if(at, lower.end(), is_token_character);
    const auto end = std::find_if_not(at, lower.end(), is_token_character);
    if (at == end) break;
    std::string token(at, end);
    if (stemming == Stemming::porter && token.size() > 3) token = porter_stem(token);
    if (!token.empty()) tokens.push_back(std::move(token));
    at = end;
  }
  return tokens;
}

RougeScore rouge_n(std::string_view reference, std::string_view candidate, int n, Stemming stemming) {
  expect(n >= 1, "rouge_n needs n >= 1");
  return ngram_score(tokenize(reference, candidate, stemming), static_cast<size_t>(n));
}

RougeScore rouge_l(std::string_view reference, std::string_view candidate, Stemming stemming) {
  return lcs_score(tokenize(reference, candidate, stemming));
}

RougeScores rouge(std::string_view reference, std::string_view candidate, Stemming stemming) {
  const auto pair = tokenize(reference, candidate, stemming);
  return {ngram_score(pair, 1), ngram_score(pair, 2), lcs_score(pair)};
}

}  // namespace cmc::metrics
