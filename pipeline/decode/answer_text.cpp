#include "pipeline/decode/answer_text.hpp"

#include <algorithm>

namespace cmc::decode {

AnswerText::AnswerText(std::shared_ptr<const text::Tokenizer> tokenizer, std::span<const std::string> stop_strings)
    : decoder_(std::move(tokenizer)), stop_strings_(stop_strings) {
  for (const auto& stop : stop_strings_) longest_stop_ = std::max(longest_stop_, stop.size());
}

bool AnswerText::push(BaseToken token) {
  const size_t from = text_.size();
  text_ += decoder_.push(token.value);
  tokens_.push_back(token);
  ends_.push_back(text_.size());
  return found_in(from);
}

bool AnswerText::finish() {
  const size_t from = text_.size();
  text_ += decoder_.finish();
  return stop_at_ != std::string::npos || found_in(from);
}

bool AnswerText::found_in(size_t from) {
  const size_t begin = from - std::min(from, longest_stop_ == 0 ? 0 : longest_stop_ - 1);
  for (const auto& stop : stop_strings_)
    if (!stop.empty()) stop_at_ = std::min(stop_at_, text_.find(stop, begin));
  return stop_at_ != std::string::npos;
}

std::string AnswerText::text() const {
  return text_.substr(0, stop_at_);
}

std::vector<BaseToken> AnswerText::tokens() const {
  const auto past = std::upper_bound(ends_.begin(), ends_.end(), stop_at_) - ends_.begin();
  return {tokens_.begin(), tokens_.begin() + past};
}

}  // namespace cmc::decode
