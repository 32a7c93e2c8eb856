#include "pipeline/text/pre_tokenizer.hpp"

#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/splitter.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

using Reader = PreTokenizer (*)(const Json&, const std::string&);

std::string_view word_of(const Words& words, const Span& span) {
  return std::string_view(words.text).substr(span.begin, span.end - span.begin);
}

// Replaces every word by the parts that its matches cut it into.
void split_each(Words& words, SplitBehavior behavior, const std::function<std::vector<Span>(std::string_view)>& matches,
                Matched matched = Matched::delimiters) {
  std::vector<Span> spans;
  for (const auto& span : words.spans) split_word(span, matches(word_of(words, span)), matched, behavior, spans);
  words.spans = std::move(spans);
}

// Rewrites every word: `rewrite(word, is_first, into)` appends the new text.
template <class Rewrite>
void rewrite_each(Words& words, Rewrite rewrite) {
  Words made;
  made.at_start = words.at_start;
  made.text.reserve(words.text.size() + words.text.size() / 4);
  for (const auto& span : words.spans) {
    const size_t begin = made.text.size();
    rewrite(word_of(words, span), words.at_start && span.begin == 0, made.text);
    made.spans.push_back({begin, made.text.size()});
  }
  words = std::move(made);
}

std::vector<Span> characters_that(bool (*hold)(char32_t), std::string_view word) {
  std::vector<Span> spans;
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    if (hold(next_code_point(word, at))) spans.push_back({begin, at});
  }
  return spans;
}

PreTokenizer sequence(const Json& description, const std::string& where) {
  const auto parts = json_field<Json::array_t>(description, "pretokenizers", where);
  std::vector<PreTokenizer> steps;
  for (size_t i = 0; i < parts.size(); ++i)
    steps.push_back(read_pre_tokenizer(parts[i], where + ".pretokenizers[" + std::to_string(i) + "]"));
  return [steps](Words& words) {
    for (const auto& step : steps) step(words);
  };
}

PreTokenizer byte_level(const Json& description, const std::string& where) {
  const bool add_prefix_space = json_field<bool>(description, "add_prefix_space", where);
  const bool use_regex = json_field_or(description, "use_regex", true, where);
  // GPT-2's pattern (Radford et al. 2019, encoder.py)
  const auto gpt2 =
      Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", where);
  return [=](Words& words) {
    if (add_prefix_space)
      rewrite_each(words, [](std::string_view word, bool, std::string& into) {
        if (!word.starts_with(' ')) into += ' ';
        into += word;
      });
    if (use_regex)
      split_each(words, SplitBehavior::isolated, [&](std::string_view word) { return gpt2.find_all(word); });
    rewrite_each(words, [](std::string_view word, bool, std::string& into) { append_byte_level(into, word); });
  };
}

PreTokenizer split(const Json& description, const std::string& where) {
  const Pattern pattern(json_field<Json>(description, "pattern", where), where + ".pattern");
  const auto behavior = split_behavior(json_field<std::string>(description, "behavior", where), where + ".behavior");
  const bool invert = json_field_or(description, "invert", false, where);
  const auto matched = invert ? Matched::words : Matched::delimiters;
  return [=](Words& words) {
    split_each(
        words, behavior, [&](std::string_view word) { return pattern.find_all(word); }, matched);
  };
}

PreTokenizer digits(const Json& description, const std::string& where) {
  const bool individual = json_field<bool>(description, "individual_digits", where);
  const auto behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous;
  return [=](Words& words) {
    split_each(words, behavior, [](std::string_view word) { return characters_that(is_number, word); });
  };
}

PreTokenizer punctuation(const Json& description, const std::string& where) {
  const auto behavior =
      split_behavior(json_field_or<std::string>(description, "behavior", "Isolated", where), where + ".behavior");
  return [=](Words& words) {
    split_each(words, behavior, [](std::string_view word) { return characters_that(is_punctuation, word); });
  };
}

PreTokenizer whitespace_split(const Json&, const std::string&) {
  return [](Words& words) {
    split_each(words, SplitBehavior::removed,
               [](std::string_view word) { return characters_that(is_white_space, word); });
  };
}

PreTokenizer whitespace(const Json&, const std::string& where) {
  // \w+|[^\w\s]+ where \w is that of Rust's regex crate: with the joiners, without superscript digits and fractions
  const auto words_or_signs = Pattern::regex(R"((?:(?![\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}])[\w\x{200C}\x{200D}])+)"
                                             R"(|(?:[^\w\s\x{200C}\x{200D}]|[\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}])+)",
                                             where);
  return [=](Words& words) {
    split_each(
        words, SplitBehavior::removed, [&](std::string_view word) { return words_or_signs.find_all(word); },
        Matched::words);
  };
}

enum class Prefix { always, first, never };

Prefix prefix_of(const Json& description, const std::string& where) {
  const bool legacy = json_field_or(description, "add_prefix_space", true, where);
  const auto scheme = json_field_or<std::string>(description, "prepend_scheme", legacy ? "always" : "never", where);
  if (scheme == "always") return Prefix::always;
  if (scheme == "first") return Prefix::first;
  if (scheme != "never") throw_bad_field(where, "prepend_scheme", "is \"" + scheme + "\", not always, first or never");
  return Prefix::never;
}

PreTokenizer metaspace(const Json& description, const std::string& where) {
  const auto mark = json_field<std::string>(description, "replacement", where);
  if (count_code_points(mark) != 1) throw_bad_field(where, "replacement", "is not one character");
  const auto prefix = prefix_of(description, where);
  const bool split_words = json_field_or(description, "split", true, where);
  const Pattern mark_pattern(Json{{"String", mark}}, where);
  const Pattern space(Json{{"String", " "}}, where);
  return [=](Words& words) {
    rewrite_each(words, [&](std::string_view word, bool is_first, std::string& into) {
      const std::string replaced = space.replace_all(word, mark);
      const bool wanted = prefix == Prefix::always || (prefix == Prefix::first && is_first);
      if (wanted && !replaced.starts_with(mark)) into += mark;
      into += replaced;
    });
    if (split_words)
      split_each(words, SplitBehavior::merged_with_next,
                 [&](std::string_view word) { return mark_pattern.find_all(word); });
  };
}

const std::map<std::string, Reader>& readers() {
  static const std::map<std::string, Reader> known = {
      {"Sequence", sequence},     {"ByteLevel", byte_level},    {"Split", split},
      {"Digits", digits},         {"Punctuation", punctuation}, {"WhitespaceSplit", whitespace_split},
      {"Whitespace", whitespace}, {"Metaspace", metaspace},
  };
  return known;
}

}  // namespace

PreTokenizer read_pre_tokenizer(const Json& description, const std::string& where) {
  if (description.is_null()) return [](Words&) {};
  const auto type = json_field<std::string>(description, "type", where);
  const auto reader = readers().find(type);
  if (reader == readers().end())
    throw BadData(
        {where + ".type", "is \"" + type + "\", a pre-tokenizer this reader does not know",
         "known are Sequence, ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, Metaspace"});
  return reader->second(description, where);
}

}  // namespace cmc::text
