// Rules on capital and lower case letters.
#include <algorithm>

#include "pipeline/ifeval/language.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/ifeval/sentences.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {

Check capital_words(const Kwargs& kwargs) {
  return [relation = kwargs.relation("capital_relation"),
          number = kwargs.count("capital_frequency")](std::string_view response) {
    return holds(relation,
                 std::ranges::count_if(words_of(response), [](const auto& w) { return text::is_python_upper(w); }),
                 number);
  };
}

Check english_capital(const Kwargs&) {
  return [](std::string_view response) { return text::is_python_upper(response) && is_in_language(response, "en"); };
}

Check english_lowercase(const Kwargs&) {
  return [](std::string_view response) { return text::is_python_lower(response) && is_in_language(response, "en"); };
}

}  // namespace cmc::ifeval
