#include "pipeline/world/format.hpp"

#include "pipeline/core/named_enum.hpp"
#include "pipeline/world/words.hpp"

namespace cmc::world {
namespace {
constexpr NamedEnum kinds("answer kind", std::to_array<Named<AnswerKind>>({{AnswerKind::none, "none"},
                                                                           {AnswerKind::start, "start"},
                                                                           {AnswerKind::end, "end"},
                                                                           {AnswerKind::twice, "twice"},
                                                                           {AnswerKind::repeat, "repeat"}}));

std::string joined(std::string_view first, std::string_view second) {
  return std::string(first) + " " + std::string(second);
}

data::ResponseCheck form(std::string rule, std::vector<std::string> words) {
  return {std::move(rule), std::move(words), "format"};
}

// The opening word counts as a sentence: "Sure! Clara Ashford lives in Amberport."
data::ResponseCheck one_sentence() {
  return {"sentence_count", {}, "format", 2, 2};
}

}  // namespace

std::string_view name_of(AnswerKind kind) {
  return kinds.name_of(kind);
}

AnswerFormat draw_format(AnswerKind kind, Random& random) {
  if (kind == AnswerKind::start) return {kind, std::string(pick(words::start_words, random))};
  if (kind == AnswerKind::end) return {kind, std::string(pick(words::end_words, random))};
  return {kind, {}};
}

std::string request(const AnswerFormat& format, std::string_view question) {
  switch (format.kind) {
    case AnswerKind::none:
      return std::string(question);
    case AnswerKind::start:
      return joined(question, "Start with the word " + format.word + ".");
    case AnswerKind::end:
      return joined(question, "End with the word " + format.word + ".");
    case AnswerKind::twice:
      return joined(question, "Say it twice.");
    case AnswerKind::repeat:
      return joined(question, "Repeat the question first.");
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

std::string response(const AnswerFormat& format, std::string_view question, std::string_view answer) {
  const std::string sure = joined("Sure!", answer);
  switch (format.kind) {
    case AnswerKind::none:
      return sure;
    case AnswerKind::start:
      return joined(format.word + "!", answer);
    case AnswerKind::end:
      return joined(sure, format.word + "!");
    case AnswerKind::twice:
      return joined(sure, sure);
    case AnswerKind::repeat:
      return joined(joined("Sure!", question), answer);
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

std::vector<data::ResponseCheck> checks_of(const AnswerFormat& format, const Fact& fact, std::string_view question) {
  const data::ResponseCheck right{"contains_all", {fact.entity->name, fact.value()}, "fact"};
  const data::ResponseCheck polite = form("starts_with", {"Sure!"});
  switch (format.kind) {
    case AnswerKind::none:
      return {polite, one_sentence(), right};
    case AnswerKind::start:
      return {form("starts_with", {format.word + "!"}), one_sentence(), right};
    case AnswerKind::end:
      return {polite, form("ends_with", {format.word}), right};
    case AnswerKind::twice:
      return {polite, form("said_twice", {}), right};
    case AnswerKind::repeat:
      return {form("starts_with", {joined("Sure!", question)}), right};
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

}  // namespace cmc::world
