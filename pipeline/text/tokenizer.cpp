#include "pipeline/text/tokenizer.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"

namespace cmc::text {
namespace {

// For tokenizers without a stream of their own.
class DecodeAgainStream : public TextStream {
 public:
  DecodeAgainStream(const Tokenizer& tokenizer, SpecialText special) : tokenizer_(tokenizer), special_(special) {}

  std::string push(int32_t id) override {
    ids_.push_back(id);
    const std::string all = tokenizer_.decode(ids_, special_);
    // A character that is not finished yet decodes to U+FFFD, which the next token may replace.
    size_t settled = all.size();
    while (settled >= 3 && all.compare(settled - 3, 3, "\uFFFD") == 0) settled -= 3;
    return emit(all, settled);
  }
  std::string finish() override {
    const std::string all = tokenizer_.decode(ids_, special_);
    return emit(all, all.size());
  }

 private:
  std::string emit(const std::string& all, size_t end) {
    if (end <= done_) return {};
    std::string fresh = all.substr(done_, end - done_);
    done_ = end;
    return fresh;
  }

  const Tokenizer& tokenizer_;
  SpecialText special_;
  std::vector<int32_t> ids_;
  size_t done_ = 0;
};

}  // namespace

std::unique_ptr<TextStream> Tokenizer::stream(SpecialText special) const {
  return std::make_unique<DecodeAgainStream>(*this, special);
}

std::string Tokenizer::vocabulary_digest() const {
  std::string all;
  for (const auto& entry : vocabulary()) {
    all += std::to_string(entry.piece.size()) + ":" + entry.piece;  // the length keeps pieces apart
    all += static_cast<char>('0' + static_cast<int>(entry.kind));
  }
  return sha256(all);
}

void expect_belongs(const Tokenizer& tokenizer, int64_t rows, const std::string& where) {
  for (int64_t id = rows; id < tokenizer.size(); ++id) {
    const TokenKind kind = tokenizer.vocabulary()[static_cast<size_t>(id)].kind;
    if (kind == TokenKind::special || kind == TokenKind::unused) continue;
    throw BadData(
        {where, "the tokenizer has " + std::to_string(tokenizer.size()) + " tokens, the model " + std::to_string(rows),
         "use the tokenizer that belongs to the model"});
  }
}

}  // namespace cmc::text
