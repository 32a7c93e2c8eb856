#include "pipeline/checkpoint/stored_tensor.hpp"

#include <array>

namespace cmc::checkpoint {

namespace {

struct TypeRow {
  const char* name;
  int64_t bytes;
};
// In the order of the enumeration.
constexpr std::array<TypeRow, 10> types = {{{"F64", 8},
                                            {"F32", 4},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I64", 8},
                                            {"I32", 4},
                                            {"I16", 2},
                                            {"I8", 1},
                                            {"U8", 1},
                                            {"BOOL", 1}}};

}  // namespace

int64_t bytes_per_element(StoredType type) {
  return types[static_cast<size_t>(type)].bytes;
}
const char* stored_name(StoredType type) {
  return types[static_cast<size_t>(type)].name;
}

}  // namespace cmc::checkpoint
