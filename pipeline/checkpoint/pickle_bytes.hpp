#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cmc::checkpoint {

// The bytes of a pickle, from front to back. Every reading throws BadData naming the file where they end too early.
class PickleBytes {
 public:
  PickleBytes(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  size_t at() const { return at_; }
  std::string_view take(uint64_t count);
  std::string_view line();  // up to the next newline, which is taken too
  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }

  int64_t decimal(std::string_view line) const;          // "12" or "12L"
  std::string_view quoted(std::string_view line) const;  // 'text', as Python 2 wrote it; without escapes
  std::string raw_unicode(std::string_view line) const;  // Latin-1 and \uXXXX as UTF-8

  [[noreturn]] void fail(const std::string& what) const;

 private:
  uint64_t little_endian(size_t count);

  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 0;
};

}  // namespace cmc::checkpoint
