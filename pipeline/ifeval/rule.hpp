#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/data/ifeval.hpp"

namespace cmc::ifeval {

// Whether a response, valid UTF-8 and not blank, is as it should be.
using Check = std::function<bool(std::string_view response)>;

// text, texts: not blank; count: 0 or more; relation: "less than" or "at least".
enum class KwargType { text, texts, count, relation };

struct Kwarg {
  std::string_view name;
  KwargType type;
};

enum class Relation { less_than, at_least };
inline bool holds(Relation relation, int64_t count, int64_t threshold) {
  return relation == Relation::less_than ? count < threshold : count >= threshold;
}

// An instruction's kwargs, which were held against its rule's row: each is there and of its type.
class Kwargs {
 public:
  explicit Kwargs(const data::IfevalInstruction& given) : given_(given) {}
  const std::string& text(const std::string& name) const { return std::get<std::string>(given_.kwargs.at(name)); }
  const std::vector<std::string>& texts(const std::string& name) const {
    return std::get<std::vector<std::string>>(given_.kwargs.at(name));
  }
  int64_t count(const std::string& name) const { return std::get<int64_t>(given_.kwargs.at(name)); }
  Relation relation(const std::string& name) const;
  std::string where(const std::string& name) const { return given_.where + "." + name; }
  [[noreturn]] void refuse(const std::string& name, const std::string& what, const std::string& remedy) const;

 private:
  const data::IfevalInstruction& given_;
};

// The rules of the authors' groups, a file each. Each makes its check from kwargs, once; throws BadData for a text that
// is no regular expression, or a number that makes no sense.
Check keyword_existence(const Kwargs& kwargs);
Check keyword_frequency(const Kwargs& kwargs);
Check forbidden_words(const Kwargs& kwargs);
Check letter_frequency(const Kwargs& kwargs);
Check response_language(const Kwargs& kwargs);
Check number_of_sentences(const Kwargs& kwargs);
Check number_of_paragraphs(const Kwargs& kwargs);
Check number_of_words(const Kwargs& kwargs);
Check first_word_of_paragraph(const Kwargs& kwargs);
Check number_of_placeholders(const Kwargs& kwargs);
Check postscript(const Kwargs& kwargs);
Check number_of_bullets(const Kwargs& kwargs);
Check constrained_response(const Kwargs& kwargs);
Check number_of_highlights(const Kwargs& kwargs);
Check multiple_sections(const Kwargs& kwargs);
Check json_format(const Kwargs& kwargs);
Check title(const Kwargs& kwargs);
Check two_responses(const Kwargs& kwargs);
Check repeat_prompt(const Kwargs& kwargs);
Check end_phrase(const Kwargs& kwargs);
Check quotation(const Kwargs& kwargs);
Check capital_words(const Kwargs& kwargs);
Check english_capital(const Kwargs& kwargs);
Check english_lowercase(const Kwargs& kwargs);
Check no_comma(const Kwargs& kwargs);

// A row a rule.
struct RuleRow {
  std::string_view id;
  std::vector<Kwarg> kwargs;
  Check (*check)(const Kwargs&);
};
const std::vector<RuleRow>& rules();

}  // namespace cmc::ifeval
