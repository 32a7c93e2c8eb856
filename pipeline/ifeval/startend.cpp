// Rules on how a response begins and ends.
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {

Check end_phrase(const Kwargs& kwargs) {
  return [phrase = text::python_lower(data::strip(kwargs.text("end_phrase")))](std::string_view response) {
    std::string_view text = data::strip(response);
    while (text.starts_with('"')) text.remove_prefix(1);
    while (text.ends_with('"')) text.remove_suffix(1);
    return text::python_lower(text).ends_with(phrase);
  };
}

Check quotation(const Kwargs&) {
  return [](std::string_view response) {
    const auto text = data::strip(response);
    return text.size() > 1 && text.front() == '"' && text.back() == '"';
  };
}

}  // namespace cmc::ifeval
