#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::text {

// The "model" of a tokenizer.json: the ids of one word. Immutable; safe to share between threads.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the ids of one word (valid UTF-8). Characters outside the vocabulary become byte tokens, the unknown token,
  // or nothing, as the file says.
  virtual void encode(std::string_view word, std::vector<int32_t>& ids) const = 0;

  // [largest id + 1]; empty where the range has a hole. Pieces are never empty otherwise.
  virtual const std::vector<std::string>& pieces() const = 0;
  virtual int32_t id_of(std::string_view piece) const = 0;  // -1: none
  virtual bool has_byte_fallback() const = 0;
  virtual int32_t unknown() const = 0;  // -1: none
  virtual int32_t entries() const = 0;  // pieces in the file; below pieces().size() where there are holes
};

}  // namespace cmc::text
