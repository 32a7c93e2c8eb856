// Rules on the form of a response: markdown, sections, JSON, a title.
#include <algorithm>

#include "pipeline/core/json.hpp"
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/text/python_pattern.hpp"

namespace cmc::ifeval {
namespace {

using text::LetterCase, text::PythonPattern;

std::string_view stripped_of(std::string_view text, char left, char right) {
  while (text.starts_with(left)) text.remove_prefix(1);
  while (text.ends_with(right)) text.remove_suffix(1);
  return text;
}

void remove_prefix(std::string_view& text, std::string_view prefix) {
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
}

// Python's json reads these, which JSON has not: NaN, Infinity, half of a surrogate pair, numbers of any size. Each is
// replaced by what JSON has. A backslash that is itself escaped begins no half of a pair: an even number stands before.
std::string plain_json(std::string_view text) {
  static const PythonPattern half(R"((?<!\\)(?:\\\\)*\\u[dD][89a-fA-F][0-9a-fA-F]{2})", LetterCase::exact, "JSON"),
      whole_string(R"("(?:[^"\\]|\\.)*+")", LetterCase::exact, "JSON"),
      constant(R"(NaN|-?Infinity)", LetterCase::exact, "JSON"),
      digits(R"((?<=[0-9]{18})[0-9]+|(?<=[0-9][eE])[0-9]+|(?<=[0-9][eE][-+])[0-9]+)", LetterCase::exact, "JSON");
  std::string plain;
  const auto outside = [&](std::string_view part) {
    const std::string without = constant.replace_all(part, "null");
    const auto spans = digits.find_all(without);
    size_t done = 0;
    for (const auto& [begin, end] : spans) {
      plain += without.substr(done, begin - done);
      if (!std::isdigit(static_cast<unsigned char>(without[begin - 1]))) plain += '0';  // an exponent has a digit
      done = end;
    }
    plain += without.substr(done);
  };
  size_t done = 0;
  for (const auto& [begin, end] : whole_string.find_all(text)) {
    outside(text.substr(done, begin - done));
    plain += half.replace_all(text.substr(begin, end - begin), "");
    done = end;
  }
  outside(text.substr(done));
  return plain;
}

bool is_json(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // skipped by our parser, an error to Python's
  return !text.starts_with(byte_order_mark) && Json::accept(plain_json(text));
}

}  // namespace

Check number_of_bullets(const Kwargs& kwargs) {
  const PythonPattern star(R"((?m)^\s*\*[^\*].*$)", LetterCase::exact, kwargs.where("num_bullets")),
      dash(R"((?m)^\s*-.*$)", LetterCase::exact, kwargs.where("num_bullets"));
  return [star, dash, number = kwargs.count("num_bullets")](std::string_view response) {
    return std::ssize(star.find_all(response)) + std::ssize(dash.find_all(response)) == number;
  };
}

Check constrained_response(const Kwargs&) {
  return [](std::string_view response) {
    return std::ranges::any_of(
        std::to_array<std::string_view>({"My answer is yes.", "My answer is no.", "My answer is maybe."}),
        [&](std::string_view option) { return response.find(option) != std::string_view::npos; });
  };
}

// What is emphasised once counts, and what is twice again (**so** holds both forms).
Check number_of_highlights(const Kwargs& kwargs) {
  const PythonPattern once(R"(\*[^\n\*]*\*)", LetterCase::exact, kwargs.where("num_highlights")),
      twice(R"(\*\*[^\n\*]*\*\*)", LetterCase::exact, kwargs.where("num_highlights"));
  return [once, twice, number = kwargs.count("num_highlights")](std::string_view response) {
    int64_t count = 0;
    for (const auto* pattern : {&once, &twice})
      for (const auto& [begin, end] : pattern->find_all(response))
        count += !data::is_blank(stripped_of(response.substr(begin, end - begin), '*', '*'));
    return count >= number;
  };
}

// The marker is a regular expression.
Check multiple_sections(const Kwargs& kwargs) {
  const std::string marker(data::strip(kwargs.text("section_spliter")));
  const PythonPattern section(R"(\s?)" + marker + R"(\s?\d+\s?)", LetterCase::exact, kwargs.where("section_spliter"));
  return [section, number = kwargs.count("num_sections")](std::string_view response) {
    return std::ssize(section.find_all(response)) >= number;
  };
}

Check json_format(const Kwargs&) {
  return [](std::string_view response) {
    std::string_view text = data::strip(response);
    for (const std::string_view fence : {"```json", "```Json", "```JSON", "```"}) remove_prefix(text, fence);
    if (text.ends_with("```")) text.remove_suffix(3);
    return is_json(data::strip(text));
  };
}

Check title(const Kwargs&) {
  static const PythonPattern pattern(R"(<<[^\n]+>>)", LetterCase::exact, "title");
  return [](std::string_view response) {
    return std::ranges::any_of(pattern.find_all(response), [&](const text::Span& span) {
      return !data::is_blank(stripped_of(response.substr(span.begin, span.end - span.begin), '<', '>'));
    });
  };
}

}  // namespace cmc::ifeval
