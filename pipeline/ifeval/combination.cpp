// Rules on a response as a whole of parts: two answers, the prompt and an answer.
#include "pipeline/data/record.hpp"
#include "pipeline/ifeval/rule.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::ifeval {

// Divided by ******; nothing may stand before the first divider or behind the last one.
Check two_responses(const Kwargs&) {
  return [](std::string_view response) {
    constexpr std::string_view divider = "******";
    std::vector<std::string_view> answers;
    for (size_t done = 0; done != std::string_view::npos;) {
      const size_t at = response.find(divider, done);
      const auto part = data::strip(response.substr(done, at == std::string_view::npos ? at : at - done));
      const bool is_first = done == 0, is_last = at == std::string_view::npos;
      if (!part.empty())
        answers.push_back(part);
      else if (!is_first && !is_last)
        return false;
      done = is_last ? at : at + divider.size();
    }
    return answers.size() == 2 && answers[0] != answers[1];
  };
}

Check repeat_prompt(const Kwargs& kwargs) {
  return [prompt = text::python_lower(data::strip(kwargs.text("prompt_to_repeat")))](std::string_view response) {
    return text::python_lower(data::strip(response)).starts_with(prompt);
  };
}

}  // namespace cmc::ifeval
