#pragma once
#include <string>
#include <string_view>

namespace cmc::metrics {

// Porter (1980), "An algorithm for suffix stripping", with the departures of nltk.stem.PorterStemmer's default mode
// (NLTK_EXTENSIONS), which rouge_score uses. `word`: ASCII letters and digits, lower case.
std::string porter_stem(std::string_view word);

}  // namespace cmc::metrics
