#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cmc::checkpoint {

enum class StoredType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

int64_t bytes_per_element(StoredType type);
const char* stored_name(StoredType type);  // "BF16", …

struct StoredTensor {
  StoredType type = StoredType::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes in the file, header included
};

struct SafetensorsHeader {
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
};

inline constexpr uint64_t max_header_bytes = 100'000'000;  // as the reference implementation

// Parses and checks the header of a safetensors file of `file_bytes` bytes whose first bytes are `start` (at least the
// whole header). Every tensor lies inside the file, none overlap, no byte is left over. Throws BadData naming `where`.
SafetensorsHeader parse_safetensors_header(std::string_view start, uint64_t file_bytes, const std::string& where);

}  // namespace cmc::checkpoint
