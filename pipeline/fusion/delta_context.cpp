#include "pipeline/fusion/delta_context.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::fusion {

DeltaContext::DeltaContext(std::shared_ptr<const text::Tokenizer> base, std::shared_ptr<const text::Tokenizer> delta,
                           std::shared_ptr<const token_map::TokenMap> map, std::vector<DeltaToken> prompt)
    : base_(std::move(base)), delta_(std::move(delta)), map_(std::move(map)), prompt_size_(prompt.size()) {
  for (const auto token : prompt) ids_.push_back(token.value);
}

void DeltaContext::append(BaseToken token) {
  const auto at = static_cast<size_t>(token.value);
  const bool exact = token.value >= 0 && at < map_->ids.size() && map_->match[at] == token_map::Match::exact;
  if (exact && stale_) encode_again();  // of the text before this token
  generated_.push_back(token.value);
  if (exact)
    ids_.push_back((*map_)[token].value);
  else
    stale_ = true;
}

std::span<const int32_t> DeltaContext::ids() {
  if (stale_) encode_again();
  return ids_;
}

void DeltaContext::encode_again() {
  const auto text = base_->decode(generated_, text::Tokenizer::SpecialText::skip);
  const auto again = delta_->encode(text, text::AddedTokens::none);
  ids_.resize(prompt_size_);
  ids_.insert(ids_.end(), again.begin(), again.end());
  stale_ = false;
}

}  // namespace cmc::fusion
