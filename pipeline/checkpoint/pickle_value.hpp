#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/checkpoint/torch_globals.hpp"

namespace cmc::checkpoint {

using PickleId = uint32_t;  // place in Pickle::values

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  real,
  text,   // UTF-8 as it is written, not checked
  bytes,  // and whole numbers of more than 64 bits, little-endian
  list,   // and sets
  tuple,
  dict,     // items: key, value, key, value, … in the order they were put; a key that comes again replaces
  global,   // one of torch_globals.hpp
  storage,  // items: the tuple that names it
  tensor    // items: the arguments of `global`
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  TorchGlobal global = {};     // of a global and a tensor
  int64_t number = 0;          // of a boolean and an integer
  std::string_view text = {};  // into the pickle's bytes or Pickle::decoded
  std::vector<PickleId> items = {};
};

// One pickle, taken apart without running anything. Values name each other by number: what the pickle holds twice is
// there once, and nothing is nested, however deep the pickle is.
struct Pickle {
  std::vector<PickleValue> values;
  std::deque<std::string> decoded;  // texts that are not in the pickle as they are
  PickleId root = 0;
  size_t bytes = 0;  // length of the pickle

  const PickleValue& at(PickleId id) const { return values[id]; }
};

}  // namespace cmc::checkpoint
