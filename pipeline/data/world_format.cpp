#include "pipeline/data/world_format.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/data/world_words.hpp"

namespace cmc::data {
namespace {

std::string joined(std::string_view first, std::string_view second) {
  return std::string(first) + " " + std::string(second);
}

ResponseCheck form(std::string rule, std::vector<std::string> words) {
  return {std::move(rule), std::move(words), "format"};
}

// The opening word counts as a sentence: "Sure! Clara Ashford lives in Amberport."
ResponseCheck one_sentence() {
  return {"sentence_count", {}, "format", 2, 2};
}

}  // namespace

std::string_view name_of(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::none: return "none";
    case AnswerKind::start: return "start";
    case AnswerKind::end: return "end";
    case AnswerKind::twice: return "twice";
    case AnswerKind::repeat: return "repeat";
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

AnswerFormat draw_format(AnswerKind kind, Random& random) {
  if (kind == AnswerKind::start) return {kind, std::string(pick(words::start_words, random))};
  if (kind == AnswerKind::end) return {kind, std::string(pick(words::end_words, random))};
  return {kind, {}};
}

std::string request(const AnswerFormat& format, std::string_view question) {
  switch (format.kind) {
    case AnswerKind::none: return std::string(question);
    case AnswerKind::start: return joined(question, "Start with the word " + format.word + ".");
    case AnswerKind::end: return joined(question, "End with the word " + format.word + ".");
    case AnswerKind::twice: return joined(question, "Say it twice.");
    case AnswerKind::repeat: return joined(question, "Repeat the question first.");
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

std::string response(const AnswerFormat& format, std::string_view question, std::string_view answer) {
  const std::string sure = joined("Sure!", answer);
  switch (format.kind) {
    case AnswerKind::none: return sure;
    case AnswerKind::start: return joined(format.word + "!", answer);
    case AnswerKind::end: return joined(sure, format.word + "!");
    case AnswerKind::twice: return joined(sure, sure);
    case AnswerKind::repeat: return joined(joined("Sure!", question), answer);
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

std::vector<ResponseCheck> checks_of(const AnswerFormat& format, const Fact& fact, std::string_view question) {
  const ResponseCheck right{"contains_all", {fact.entity->name, fact.value()}, "fact"};
  const ResponseCheck polite = form("starts_with", {"Sure!"});
  switch (format.kind) {
    case AnswerKind::none: return {polite, one_sentence(), right};
    case AnswerKind::start: return {form("starts_with", {format.word + "!"}), one_sentence(), right};
    case AnswerKind::end: return {polite, form("ends_with", {format.word}), right};
    case AnswerKind::twice: return {polite, form("said_twice", {}), right};
    case AnswerKind::repeat: return {form("starts_with", {joined("Sure!", question)}), right};
  }
  throw Internal({"AnswerKind", "has no such value", ""});
}

}  // namespace cmc::data
