#include "stages/serving/text_pairs.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::stages {
namespace {

std::vector<int32_t> part(const std::vector<int32_t>& tokens, int64_t first, int64_t last) {
  return {tokens.begin() + first, tokens.begin() + last};
}

int64_t keep_last(std::vector<int32_t>& tokens, int64_t most) {
  const int64_t cut = std::max<int64_t>(0, std::ssize(tokens) - most);
  tokens.erase(tokens.begin(), tokens.begin() + cut);
  return cut;
}

}  // namespace

TextPairs::TextPairs(std::shared_ptr<const text::Tokenizer> tokenizer, int64_t longest)
    : tokenizer_(std::move(tokenizer)), longest_(longest) {
  const auto& special = tokenizer_->special();
  prefix_ = special.begin >= 0 ? special.begin : special.end;
  if (prefix_ >= 0) prefix_text_ = tokenizer_->decode({&prefix_, 1}, text::SpecialText::keep);
}

std::vector<int32_t> TextPairs::encode(std::string_view text) const {
  const bool begun = !prefix_text_.empty() && text.starts_with(prefix_text_);
  return tokenizer_->encode(text, begun ? text::AddedTokens::none : text::AddedTokens::as_model);
}

int32_t TextPairs::expect_prefix(const std::string& where) const {
  if (prefix_ < 0)
    throw BadData({where, "begins with nothing, and the tokenizer has neither a begin nor an end token",
                   "give some text before it, or name a bos_token in tokenizer_config.json"});
  return prefix_;
}

TextPair TextPairs::pair(std::string_view context, std::string_view continuation, const std::string& where) const {
  TextPair pair;
  if (context.empty()) {
    pair.continuation = tokenizer_->encode(continuation, text::AddedTokens::none);
    const int32_t prefix = expect_prefix(where + ": context");
    pair.context = {prefix};
    if (!pair.continuation.empty() && pair.continuation.front() == prefix)
      pair.continuation.erase(pair.continuation.begin());
  } else {
    const auto words = text::strip_right(context, text::is_python_space);
    pair.context = encode(words);
    const auto whole = encode(std::string(context) + std::string(continuation));
    pair.continuation = part(whole, std::min(std::ssize(pair.context), std::ssize(whole)), std::ssize(whole));
    if (pair.context.empty()) pair.context = {expect_prefix(where + ": context")};
  }
  if (pair.continuation.empty())
    throw BadData(
        {where + ": continuation", "has no tokens of its own, so there is nothing to score", "give some text"});
  if (std::ssize(pair.continuation) > longest_)
    throw BadData({where + ": continuation",
                   "has " + std::to_string(pair.continuation.size()) + " tokens, and the model reads " +
                       std::to_string(longest_) + " at once",
                   "give a shorter one, or a larger --max-length"});
  pair.cut = keep_last(pair.context, longest_ + 1 - std::ssize(pair.continuation));  // the last token is not read
  return pair;
}

std::vector<TextPair> TextPairs::windows(std::string_view text, const std::string& where) const {
  std::vector<TextPair> windows;
  const auto tokens = encode(text);
  const int64_t count = std::ssize(tokens);
  if (count == 0) return windows;
  const int64_t first = std::min(longest_, count);
  windows.push_back({{expect_prefix(where + ": text")}, part(tokens, 0, first)});
  for (int64_t done = first; done < count;) {
    const int64_t end = std::min(done + longest_, count);
    windows.push_back({part(tokens, end - longest_ - 1, done), part(tokens, done, end)});
    done = end;
  }
  return windows;
}

TextPair TextPairs::prompt(std::string_view context, int64_t new_tokens, const std::string& where) const {
  if (new_tokens >= longest_)
    throw BadData({where + ": max_gen_toks",
                   "(" + std::to_string(new_tokens) + ") leaves no room for a context: the model reads " +
                       std::to_string(longest_) + " tokens at once",
                   "ask for fewer, or give a larger --max-length"});
  TextPair prompt{encode(context), {}};
  if (prompt.context.empty()) prompt.context = {expect_prefix(where + ": context")};
  prompt.cut = keep_last(prompt.context, longest_ - new_tokens);
  return prompt;
}

}  // namespace cmc::stages
