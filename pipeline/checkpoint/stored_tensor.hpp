#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cmc::checkpoint {

enum class StoredType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

int64_t bytes_per_element(StoredType type);
const char* stored_name(StoredType type);  // "BF16", as safetensors calls it

// Where a tensor lies in a file.
struct StoredTensor {
  StoredType type = StoredType::f32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in elements; empty: row by row without gaps
  uint64_t begin = 0, end = 0;   // bytes in the file, its header included; end: behind the last byte that is read
};

using StoredTensors = std::map<std::string, StoredTensor>;

}  // namespace cmc::checkpoint
