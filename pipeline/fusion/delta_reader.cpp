#include "pipeline/fusion/delta_reader.hpp"

#include <algorithm>
#include <span>

namespace cmc::fusion {

DeltaReader::DeltaReader(const std::vector<BaseToken>& tokens, int64_t first, const ForcedSequence::DeltaText& text,
                         const text::Tokenizer& base, const text::Tokenizer& delta)
    : base_(base),
      delta_(delta),
      ids_(plain_ids(text.tokens.empty() ? tokens : text.tokens)),
      prompt_(plain_ids(text.prompt)),
      start_(prompt_.empty() ? 0 : first) {}

std::vector<int32_t> DeltaReader::before(int64_t position) const {
  const auto end = static_cast<size_t>(std::min(position, std::ssize(ids_))), start = static_cast<size_t>(start_);
  const auto read = end > start ? std::span(ids_).subspan(start, end - start) : std::span<const int32_t>();
  const auto text = base_.decode(read, text::SpecialText::skip);
  const auto encoded = delta_.encode(text, prompt_.empty() ? text::AddedTokens::as_model : text::AddedTokens::none);
  auto context = prompt_;
  context.insert(context.end(), encoded.begin(), encoded.end());
  return context;
}

}  // namespace cmc::fusion
