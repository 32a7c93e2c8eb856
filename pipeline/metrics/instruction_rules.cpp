#include "pipeline/metrics/instruction_rules.hpp"

#include <algorithm>
#include <array>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/metrics/text_parts.hpp"

namespace cmc::metrics {
namespace {

// What a rule needs beside its name.
enum class Needs { nothing, word, words, count };

struct RuleFacts {
  Rule rule;
  std::string_view name;
  Needs needs;
};

constexpr std::array<RuleFacts, 14> rules = {{
    {Rule::starts_with, "starts_with", Needs::word},
    {Rule::ends_with, "ends_with", Needs::word},
    {Rule::ends_properly, "ends_properly", Needs::nothing},
    {Rule::word_count, "word_count", Needs::count},
    {Rule::sentence_count, "sentence_count", Needs::count},
    {Rule::bullet_count, "bullet_count", Needs::count},
    {Rule::paragraph_count, "paragraph_count", Needs::count},
    {Rule::contains_all, "contains_all", Needs::words},
    {Rule::contains_none, "contains_none", Needs::words},
    {Rule::lower_case, "lower_case", Needs::nothing},
    {Rule::upper_case, "upper_case", Needs::nothing},
    {Rule::json, "json", Needs::nothing},
    {Rule::quoted, "quoted", Needs::nothing},
    {Rule::said_twice, "said_twice", Needs::nothing},
}};

const RuleFacts& facts_of(Rule rule) {
  const auto found = std::ranges::find(rules, rule, &RuleFacts::rule);
  expect(found != rules.end(), "Rule has no such value");
  return *found;
}

void check(const Instruction& instruction) {
  const auto& facts = facts_of(instruction.rule);
  const std::string where = "instruction " + std::string(facts.name);
  if (facts.needs == Needs::count && instruction.count.least > instruction.count.most)
    throw BadData({where + ": count", "is an empty range", "give least <= most"});
  if (facts.needs != Needs::word && facts.needs != Needs::words) return;
  if (instruction.words.empty()) throw BadData({where + ": words", "is empty", "give the word the rule speaks of"});
  if (facts.needs == Needs::word && instruction.words.size() > 1)
    throw BadData({where + ": words", "has several entries", "give one word or phrase"});
  for (const auto& word : instruction.words)
    if (stripped(word).empty()) throw BadData({where + ": words", "holds an empty word", "give a text"});
}

bool within(size_t count, const CountRange& range) {
  return range.least <= count && count <= range.most;
}

bool is_closing_punctuation(char c) {
  return c == '.' || c == '!' || c == '?';
}
bool is_closing_bracket(char c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == '*';
}

bool starts_with(std::string_view text, std::string_view word) {
  return text.starts_with(word) &&
         (text.size() == word.size() || !is_word_character(text[word.size()]) || !is_word_character(word.back()));
}

std::string_view without_punctuation_at_end(std::string_view text) {
  while (!text.empty() && !is_word_character(text.back())) text.remove_suffix(1);
  return text;
}

bool ends_with(std::string_view text, std::string_view word) {
  text = without_punctuation_at_end(text);
  word = without_punctuation_at_end(word);
  return !word.empty() && text.ends_with(word) &&
         (text.size() == word.size() || !is_word_character(text[text.size() - word.size() - 1]) ||
          !is_word_character(word.front()));
}

bool contains(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool free_before = at == 0 || !is_word_character(text[at - 1]) || !is_word_character(word.front());
    if (free_before && starts_with(text.substr(at), word)) return true;
  }
  return false;
}

bool ends_properly(std::string_view text) {
  while (!text.empty() && is_closing_bracket(text.back())) text.remove_suffix(1);
  return !text.empty() && is_closing_punctuation(text.back());
}

size_t count_sentences(std::string_view text) {
  size_t count = 0;
  bool has_letter = false;
  for (const auto word : words_of(text)) {
    has_letter |= std::ranges::any_of(word, is_letter);
    if (has_letter && ends_properly(word)) ++count, has_letter = false;
  }
  return count + has_letter;
}

size_t count_bullets(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(lines_of(text), [](std::string_view line) {
    line = line.substr(0, line.size() - (line.ends_with('\r') ? 1 : 0));
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    return line.starts_with("- ") || line.starts_with("* ");
  }));
}

size_t count_paragraphs(std::string_view text) {
  size_t count = 0;
  bool inside = false;
  for (const auto line : lines_of(text)) {
    const bool blank = stripped(line).empty();
    count += !blank && !inside;
    inside = !blank;
  }
  return count;
}

bool is_json(std::string_view text) {
  if (text.starts_with("```") && text.ends_with("```") && text.size() >= 6) {
    const size_t line_end = text.find('\n');
    if (line_end == std::string_view::npos || line_end + 3 > text.size()) return false;
    text = text.substr(line_end + 1, text.size() - line_end - 4);
  }
  return Json::accept(text);
}

bool is_said_twice(std::string_view text) {
  const auto words = words_of(text);
  const size_t half = words.size() / 2;
  return words.size() % 2 == 0 && std::equal(words.begin(), words.begin() + static_cast<ptrdiff_t>(half),
                                             words.begin() + static_cast<ptrdiff_t>(half));
}

std::string amount(const CountRange& range, const std::string& one, const std::string& many) {
  const auto with_noun = [&](size_t n) { return std::to_string(n) + " " + (n == 1 ? one : many); };
  if (range.least == range.most) return "exactly " + with_noun(range.least);
  if (range.most == CountRange{}.most) return "at least " + with_noun(range.least);
  if (range.least == 0) return "at most " + with_noun(range.most);
  return "between " + std::to_string(range.least) + " and " + with_noun(range.most);
}

std::string listed(const std::vector<std::string>& words) {
  std::string list;
  for (size_t i = 0; i < words.size(); ++i)
    list += (i == 0 ? "\"" : i + 1 == words.size() ? " and \"" : ", \"") + words[i] + "\"";
  return list;
}

}  // namespace

std::string_view name_of(Rule rule) {
  return facts_of(rule).name;
}

Rule rule_of(std::string_view name) {
  std::string known;
  for (const auto& facts : rules) {
    if (facts.name == name) return facts.rule;
    (known += known.empty() ? "" : ", ") += facts.name;
  }
  throw BadData({"rule \"" + std::string(name) + "\"", "is not known", "use one of " + known});
}

std::string request(const Instruction& instruction) {
  check(instruction);
  const auto& words = instruction.words;
  const auto& count = instruction.count;
  switch (instruction.rule) {
    case Rule::starts_with:
      return "Begin your answer with \"" + words[0] + "\".";
    case Rule::ends_with:
      return "End your answer with \"" + words[0] + "\".";
    case Rule::ends_properly:
      return "End your answer with a complete sentence.";
    case Rule::word_count:
      return "Answer in " + amount(count, "word", "words") + ".";
    case Rule::sentence_count:
      return "Answer in " + amount(count, "sentence", "sentences") + ".";
    case Rule::bullet_count:
      return "Answer with " + amount(count, "bullet point", "bullet points") +
             ", each on a line that begins with \"- \".";
    case Rule::paragraph_count:
      return "Answer in " + amount(count, "paragraph", "paragraphs") + ", parted by blank lines.";
    case Rule::contains_all:
      return "Use " + listed(words) + " in your answer.";
    case Rule::contains_none:
      return "Do not use " + listed(words) + " in your answer.";
    case Rule::lower_case:
      return "Answer in lower case letters only.";
    case Rule::upper_case:
      return "Answer in capital letters only.";
    case Rule::json:
      return "Answer with one JSON value and nothing else.";
    case Rule::quoted:
      return "Put your whole answer between double quotes.";
    case Rule::said_twice:
      return "Give your answer twice, word for word.";
  }
  throw Internal({"Rule", "has no such value", ""});
}

bool follows(const Instruction& instruction, std::string_view response) {
  check(instruction);
  const std::string_view text = stripped(response);
  if (text.empty()) return false;
  const auto says = [&, lower = lowered(text)](const std::string& word) {
    return contains(lower, lowered(stripped(word)));
  };
  const auto first = [&] { return lowered(stripped(instruction.words[0])); };
  switch (instruction.rule) {
    case Rule::starts_with:
      return starts_with(lowered(text), first());
    case Rule::ends_with:
      return ends_with(lowered(text), first());
    case Rule::ends_properly:
      return ends_properly(text);
    case Rule::word_count:
      return within(words_of(text).size(), instruction.count);
    case Rule::sentence_count:
      return within(count_sentences(text), instruction.count);
    case Rule::bullet_count:
      return within(count_bullets(text), instruction.count);
    case Rule::paragraph_count:
      return within(count_paragraphs(text), instruction.count);
    case Rule::contains_all:
      return std::ranges::all_of(instruction.words, says);
    case Rule::contains_none:
      return std::ranges::none_of(instruction.words, says);
    case Rule::lower_case:
      return std::ranges::any_of(text, is_lower) && std::ranges::none_of(text, is_upper);
    case Rule::upper_case:
      return std::ranges::any_of(text, is_upper) && std::ranges::none_of(text, is_lower);
    case Rule::json:
      return is_json(text);
    case Rule::quoted:
      return text.size() >= 2 && text.front() == '"' && text.back() == '"';
    case Rule::said_twice:
      return is_said_twice(text);
  }
  throw Internal({"Rule", "has no such value", ""});
}

Instruction draw_instruction(Random& random) {
  static constexpr std::array<const char*, 8> openings = {"Certainly", "First",   "Well",     "Today",
                                                          "Yes",       "However", "In short", "Note"};
  static constexpr std::array<const char*, 8> common = {"important", "people", "example", "time",
                                                        "world",     "reason", "place",   "way"};
  Instruction instruction{rules[random.below(rules.size())].rule};
  const size_t few = 1 + random.below(4);
  switch (facts_of(instruction.rule).needs) {
    case Needs::nothing:
      break;
    case Needs::word:
      instruction.words = {openings[random.below(openings.size())]};
      break;
    case Needs::words:
      instruction.words = {common[random.below(common.size())]};
      break;
    case Needs::count:
      instruction.count = instruction.rule == Rule::word_count ? CountRange{0, 20 * few} : CountRange{few, few};
      break;
  }
  return instruction;
}

}  // namespace cmc::metrics
