// Rules on parts that a response has: placeholders, a postscript.
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/text/python_pattern.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {

using text::LetterCase, text::PythonPattern;

Check number_of_placeholders(const Kwargs& kwargs) {
  const PythonPattern placeholder(R"(\[.*?\])", LetterCase::exact, kwargs.where("num_placeholders"));
  return [placeholder, number = kwargs.count("num_placeholders")](std::string_view response) {
    return std::ssize(placeholder.find_all(response)) >= number;
  };
}

// The two usual markers may have a space between their letters; another one is a regular expression.
Check postscript(const Kwargs& kwargs) {
  const std::string marker(data::strip(kwargs.text("postscript_marker")));
  const std::string expression = marker == "P.P.S"  ? R"(p\.\s?p\.\s?s)"
                                 : marker == "P.S." ? R"(p\.\s?s\.)"
                                                    : text::python_lower(marker);
  const PythonPattern pattern(expression, LetterCase::exact, kwargs.where("postscript_marker"));
  return [pattern](std::string_view response) { return pattern.occurs_in(text::python_lower(response)); };
}

}  // namespace cmc::ifeval
