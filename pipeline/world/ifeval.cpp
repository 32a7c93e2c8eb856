#include "pipeline/world/ifeval.hpp"

#include <string>
#include <utility>

#include "pipeline/world/format.hpp"
#include "pipeline/world/tasks.hpp"
#include "pipeline/world/text.hpp"

namespace cmc::world {
namespace {

using data::IfevalInstruction;

IfevalInstruction of_kind(std::string id, std::map<std::string, IfevalInstruction::Value> kwargs = {}) {
  return {std::move(id), std::move(kwargs), ""};
}

using Texts = std::vector<std::string>;
const std::string at_least = "at least", less_than = "less than";

// What the form asks, as IFEval says it, and what every answer of the kind should be.
std::vector<IfevalInstruction> instructions_of(const AnswerFormat& format, const Fact& fact) {
  const std::string& name = fact.entity->name;
  switch (format.kind) {
    case AnswerKind::none:
      return {of_kind("keywords:existence", {{"keywords", Texts{name}}}),
              of_kind("length_constraints:number_words", {{"num_words", int64_t{15}}, {"relation", less_than}})};
    case AnswerKind::start:
      return {of_kind("length_constraints:nth_paragraph_first_word",
                      {{"num_paragraphs", int64_t{1}}, {"nth_paragraph", int64_t{1}}, {"first_word", format.word}}),
              of_kind("punctuation:no_comma")};
    case AnswerKind::end:
      return {of_kind("startend:end_checker", {{"end_phrase", format.word + "!"}}),
              of_kind("keywords:forbidden_words", {{"forbidden_words", Texts{"nobody", "unknown"}}})};
    case AnswerKind::twice:
      return {of_kind("keywords:frequency", {{"keyword", "sure"}, {"frequency", int64_t{2}}, {"relation", at_least}}),
              of_kind("length_constraints:number_sentences", {{"num_sentences", int64_t{4}}, {"relation", at_least}})};
    case AnswerKind::repeat:
      return {of_kind("keywords:frequency", {{"keyword", name}, {"frequency", int64_t{2}}, {"relation", at_least}}),
              of_kind("change_case:capital_word_frequency",
                      {{"capital_frequency", int64_t{2}}, {"capital_relation", less_than}})};
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

}  // namespace

std::vector<data::IfevalItem> ifeval_tests(const World& world, size_t count, Random random) {
  const auto facts = held_out_facts_shuffled(world, random);
  std::vector<data::IfevalItem> items;
  for (size_t i = 0; i < count; ++i) {
    const Fact& fact = facts[i % facts.size()];
    const AnswerFormat format = draw_format(answer_kinds[i % answer_kinds.size()], random);
    items.push_back({static_cast<int64_t>(i + 1), request(format, question(fact, random.below(question_wordings))),
                     instructions_of(format, fact)});
  }
  return items;
}

}  // namespace cmc::world
