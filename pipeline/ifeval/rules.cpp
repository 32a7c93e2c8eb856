// The table of rules: what each is called and needs.
#include "pipeline/ifeval/rule.hpp"

namespace cmc::ifeval {

const std::vector<RuleRow>& rules() {
  using enum KwargType;
  static const std::vector<RuleRow> table = {
      {"keywords:existence", {{"keywords", texts}}, keyword_existence},
      {"keywords:frequency", {{"keyword", text}, {"frequency", count}, {"relation", relation}}, keyword_frequency},
      {"keywords:forbidden_words", {{"forbidden_words", texts}}, forbidden_words},
      {"keywords:letter_frequency",
       {{"letter", text}, {"let_frequency", count}, {"let_relation", relation}},
       letter_frequency},
      {"language:response_language", {{"language", text}}, response_language},
      {"length_constraints:number_sentences", {{"num_sentences", count}, {"relation", relation}}, number_of_sentences},
      {"length_constraints:number_paragraphs", {{"num_paragraphs", count}}, number_of_paragraphs},
      {"length_constraints:number_words", {{"num_words", count}, {"relation", relation}}, number_of_words},
      {"length_constraints:nth_paragraph_first_word",
       {{"num_paragraphs", count}, {"nth_paragraph", count}, {"first_word", text}},
       first_word_of_paragraph},
      {"detectable_content:number_placeholders", {{"num_placeholders", count}}, number_of_placeholders},
      {"detectable_content:postscript", {{"postscript_marker", text}}, postscript},
      {"detectable_format:number_bullet_lists", {{"num_bullets", count}}, number_of_bullets},
      {"detectable_format:constrained_response", {}, constrained_response},
      {"detectable_format:number_highlighted_sections", {{"num_highlights", count}}, number_of_highlights},
      {"detectable_format:multiple_sections", {{"section_spliter", text}, {"num_sections", count}}, multiple_sections},
      {"detectable_format:json_format", {}, json_format},
      {"detectable_format:title", {}, title},
      {"combination:two_responses", {}, two_responses},
      {"combination:repeat_prompt", {{"prompt_to_repeat", text}}, repeat_prompt},
      {"startend:end_checker", {{"end_phrase", text}}, end_phrase},
      {"startend:quotation", {}, quotation},
      {"change_case:capital_word_frequency",
       {{"capital_frequency", count}, {"capital_relation", relation}},
       capital_words},
      {"change_case:english_capital", {}, english_capital},
      {"change_case:english_lowercase", {}, english_lowercase},
      {"punctuation:no_comma", {}, no_comma}};
  return table;
}

}  // namespace cmc::ifeval
