#include "pipeline/text/decoder.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/pattern.hpp"

namespace cmc::text {
namespace {

using Tokens = std::vector<std::string>;
using MakeStep = Decoder::value_type;

class ByteLevelStep : public DecoderStep {
 public:
  void push(std::string token, Tokens& out) override {
    const auto bytes = bytes_of_byte_level(token);
    pending_ += bytes ? *bytes : token;  // an added token with other characters stands for itself
    const size_t complete = complete_utf8_prefix(pending_);
    if (complete == 0) return;
    out.push_back(replace_invalid_utf8(std::string_view(pending_).substr(0, complete)));
    pending_.erase(0, complete);
  }
  void finish(Tokens& out) override { out.push_back(replace_invalid_utf8(pending_)); }

 private:
  std::string pending_;  // an unfinished character
};

std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(std::tolower(c)));
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<int>(digit);
  }
  return static_cast<char>(value);
}

// A run of bytes is text only as a whole: one bad byte turns each of the run into U+FFFD (tokenizers' ByteFallback).
class ByteFallbackStep : public DecoderStep {
 public:
  void push(std::string token, Tokens& out) override {
    if (const auto byte = fallback_byte(token)) {
      run_ += *byte;
      return;
    }
    finish(out);
    out.push_back(std::move(token));
  }
  void finish(Tokens& out) override {
    if (run_.empty()) return;
    if (is_valid_utf8(run_))
      out.push_back(run_);
    else
      out.insert(out.end(), run_.size(), "\uFFFD");
    run_.clear();
  }

 private:
  std::string run_;
};

class ReplaceStep : public DecoderStep {
 public:
  ReplaceStep(Pattern pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void push(std::string token, Tokens& out) override { out.push_back(pattern_.replace_all(token, content_)); }

 private:
  Pattern pattern_;
  std::string content_;
};

class MetaspaceStep : public DecoderStep {
 public:
  MetaspaceStep(Pattern mark, bool drop_first) : mark_(std::move(mark)), drop_(drop_first) {}
  void push(std::string token, Tokens& out) override {
    out.push_back(mark_.replace_all(token, drop_ ? "" : " "));
    drop_ = false;
  }

 private:
  Pattern mark_;
  bool drop_;
};

// Up to `start` leading and `stop` trailing `content` characters of each token.
class StripStep : public DecoderStep {
 public:
  StripStep(std::string content, size_t start, size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void push(std::string token, Tokens& out) override {
    std::string_view rest = token;
    for (size_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
    for (size_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
    out.emplace_back(rest);
  }

 private:
  std::string content_;
  size_t start_, stop_;
};

// StripStep for a text that comes in pieces (after Fuse or ByteLevel).
class StripTextStep : public DecoderStep {
 public:
  StripTextStep(std::string content, size_t start, size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void push(std::string token, Tokens& out) override {
    held_ += token;
    for (; start_ > 0 && held_.starts_with(content_); --start_) held_.erase(0, content_.size());
    if (held_.empty()) return;
    start_ = 0;
    const size_t trailing = std::min(trailing_count(), stop_) * content_.size();
    out.push_back(held_.substr(0, held_.size() - trailing));
    held_.erase(0, held_.size() - trailing);
  }

 private:
  size_t trailing_count() const {
    size_t count = 0;
    std::string_view rest = held_;
    for (; rest.ends_with(content_); ++count) rest.remove_suffix(content_.size());
    return count;
  }

  std::string content_;
  size_t start_, stop_;
  std::string held_;  // trailing content that the end of the text would drop
};

// Runs a step on the whole text at the end, for what cannot be done piece by piece.
class WholeTextStep : public DecoderStep {
 public:
  explicit WholeTextStep(std::unique_ptr<DecoderStep> inner) : inner_(std::move(inner)) {}
  void push(std::string token, Tokens&) override { text_ += token; }
  void finish(Tokens& out) override {
    inner_->push(std::move(text_), out);
    inner_->finish(out);
  }

 private:
  std::unique_ptr<DecoderStep> inner_;
  std::string text_;
};

class JoinWithSpacesStep : public DecoderStep {
 public:
  void push(std::string token, Tokens& out) override {
    out.push_back(first_ ? token : " " + token);
    first_ = false;
  }

 private:
  bool first_ = true;
};

// Reads the chain of steps; after Fuse or ByteLevel all tokens are one text, which arrives in pieces.
class ChainReader {
 public:
  Decoder read(const Json& description, const std::string& where) {
    add(description, where);
    return std::move(steps_);
  }

 private:
  void add(const Json& description, const std::string& where) {
    const auto type = json_field<std::string>(description, "type", where);
    if (type == "Sequence") return sequence(description, where);
    if (type == "ByteLevel") return append([] { return std::make_unique<ByteLevelStep>(); }), void(fused_ = true);
    if (type == "ByteFallback") return append([] { return std::make_unique<ByteFallbackStep>(); });
    if (type == "Fuse") return void(fused_ = true);
    if (type == "Strip") return strip(description, where);
    if (type == "Replace") return replace(description, where);
    if (type == "Metaspace") return metaspace(description, where);
    throw BadData({where + ".type", "is \"" + type + "\", a decoder this reader does not know",
                   "known are Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace"});
  }

  void append(MakeStep make) {
    if (fused_)
      steps_.push_back([make] { return std::make_unique<WholeTextStep>(make()); });
    else
      steps_.push_back(std::move(make));
  }

  void sequence(const Json& description, const std::string& where) {
    const auto parts = json_field<Json::array_t>(description, "decoders", where);
    for (size_t i = 0; i < parts.size(); ++i) add(parts[i], where + ".decoders[" + std::to_string(i) + "]");
  }

  void strip(const Json& description, const std::string& where) {
    const auto content = json_field<std::string>(description, "content", where);
    if (count_code_points(content) != 1) throw_bad_field(where, "content", "is not one character");
    const auto start = json_field<Json>(description, "start", where),
               stop = json_field<Json>(description, "stop", where);
    if (!start.is_number_integer() || start < 0) throw_bad_field(where, "start", "is no count");
    if (!stop.is_number_integer() || stop < 0) throw_bad_field(where, "stop", "is no count");
    const auto from = start.get<size_t>(), to = stop.get<size_t>();
    if (fused_)
      steps_.push_back([=] { return std::make_unique<StripTextStep>(content, from, to); });
    else
      steps_.push_back([=] { return std::make_unique<StripStep>(content, from, to); });
  }

  void replace(const Json& description, const std::string& where) {
    const Pattern pattern(json_field<Json>(description, "pattern", where), where + ".pattern");
    const auto content = json_field<std::string>(description, "content", where);
    const MakeStep make = [=] { return std::make_unique<ReplaceStep>(pattern, content); };
    if (pattern.is_single_character())
      steps_.push_back(make);
    else
      append(make);
  }

  void metaspace(const Json& description, const std::string& where) {
    const auto mark = json_field<std::string>(description, "replacement", where);
    if (count_code_points(mark) != 1) throw_bad_field(where, "replacement", "is not one character");
    const bool legacy = json_field_or(description, "add_prefix_space", true, where);
    const auto scheme = json_field_or<std::string>(description, "prepend_scheme", legacy ? "always" : "never", where);
    const Pattern pattern(Json{{"String", mark}}, where);
    append([=] { return std::make_unique<MetaspaceStep>(pattern, scheme != "never"); });
  }

  Decoder steps_;
  bool fused_ = false;
};

}  // namespace

Decoder read_decoder(const Json& description, const std::string& where) {
  if (description.is_null()) return {[] { return std::make_unique<JoinWithSpacesStep>(); }};
  return ChainReader().read(description, where);
}

}  // namespace cmc::text
