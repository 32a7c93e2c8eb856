#include "pipeline/text/incremental_decoder.hpp"

namespace cmc::text {

IncrementalDecoder::IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), stream_(tokenizer_->stream(SpecialText::skip)) {}

std::string IncrementalDecoder::push(int32_t id) {
  std::string settled = stream_->push(id);
  text_ += settled;
  return settled;
}

std::string IncrementalDecoder::finish() {
  std::string rest = stream_->finish();
  text_ += rest;
  return rest;
}

}  // namespace cmc::text
