#include "pipeline/checkpoint/pickle_bytes.hpp"

#include <charconv>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

void PickleBytes::fail(const std::string& what) const {
  throw BadData({where_, "is no pickle of weights: it " + what + " at byte " + std::to_string(at_),
                 "the file is damaged or was not fetched whole: fetch or save it again"});
}

std::string_view PickleBytes::take(uint64_t count) {
  if (count > bytes_.size() - at_) fail("ends too early (truncated?)");
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

std::string_view PickleBytes::line() {
  const size_t end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) fail("has a line without an end (truncated?)");
  const std::string_view taken = bytes_.substr(at_, end - at_);
  at_ = end + 1;
  return taken;
}

uint64_t PickleBytes::little_endian(size_t count) {
  const std::string_view digits = take(count);
  uint64_t number = 0;
  for (size_t i = count; i > 0; --i) number = number << 8 | static_cast<uint8_t>(digits[i - 1]);
  return number;
}

int64_t PickleBytes::decimal(std::string_view line) const {
  if (line.ends_with('L')) line.remove_suffix(1);
  int64_t number = 0;
  const auto [end, problem] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (problem != std::errc() || end != line.data() + line.size()) fail("has a number that is none");
  return number;
}

std::string_view PickleBytes::quoted(std::string_view line) const {
  const bool whole = line.size() >= 2 && line.front() == line.back() && (line.front() == '\'' || line.front() == '"');
  if (!whole || line.find('\\') != std::string_view::npos) fail("has a quoted text with escapes or without an end");
  return line.substr(1, line.size() - 2);
}

std::string PickleBytes::raw_unicode(std::string_view line) const {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    const size_t digits = line.substr(i).starts_with("\\u") ? 4 : line.substr(i).starts_with("\\U") ? 8 : 0;
    uint32_t point = static_cast<uint8_t>(line[i]);
    if (digits != 0) {
      const std::string_view written = line.substr(i + 2, digits);
      const auto [end, problem] = std::from_chars(written.data(), written.data() + written.size(), point, 16);
      if (problem != std::errc() || end != written.data() + digits || point > 0x10ffff) fail("has a bad escape");
      i += 1 + digits;
    }
    append_utf8(text, static_cast<char32_t>(point));
  }
  return text;
}

}  // namespace cmc::checkpoint
