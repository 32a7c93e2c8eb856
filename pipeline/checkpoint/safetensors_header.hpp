#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "pipeline/checkpoint/stored_tensor.hpp"

namespace cmc::checkpoint {

struct SafetensorsHeader {
  StoredTensors tensors;
  std::map<std::string, std::string> metadata;
};

inline constexpr uint64_t max_header_bytes = 100'000'000;  // as the reference implementation

// Parses and checks the header of a safetensors file of `file_bytes` bytes whose first bytes are `start` (at least the
// whole header). Every tensor lies inside the file, none overlap, no byte is left over. Throws BadData naming `where`,
// also for a type of quantised numbers.
SafetensorsHeader parse_safetensors_header(std::string_view start, uint64_t file_bytes, const std::string& where);

}  // namespace cmc::checkpoint
