#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cmc::metrics {

// ROUGE (Lin 2004) as the rouge_score package (0.1.2) computes it, to the last bit.

enum class Stemming { none, porter };

struct RougeScore {  // each in [0, 1]; all 0 where a text has no token
  double precision = 0;
  double recall = 0;
  double f_measure = 0;
};

// The three that the pipeline reports, from one tokenisation.
struct RougeScores {
  RougeScore rouge1, rouge2, rouge_l;
};

// Lower case, everything but [a-z0-9] separates, tokens longer than three are stemmed.
std::vector<std::string> rouge_tokens(std::string_view text, Stemming stemming);

// Word n-grams, each counted as often as both texts have it. `n` >= 1.
RougeScore rouge_n(std::string_view reference, std::string_view candidate, int n, Stemming stemming);

// Longest common subsequence over the whole text ("rougeL", not "rougeLsum").
RougeScore rouge_l(std::string_view reference, std::string_view candidate, Stemming stemming);

// TOFU uses the recall of rouge1 and rouge_l with the Porter stemmer.
RougeScores rouge(std::string_view reference, std::string_view candidate, Stemming stemming = Stemming::porter);

}  // namespace cmc::metrics
