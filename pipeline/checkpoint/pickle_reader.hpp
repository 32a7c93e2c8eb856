#pragma once
#include <string>
#include <string_view>

#include "pipeline/checkpoint/pickle_value.hpp"

namespace cmc::checkpoint {

// Reads the pickle (protocols 0 to 5) at the start of `bytes`, which must outlive the result. Knows numbers, texts,
// containers and what torch.save writes for tensors. Throws Refused naming any other class or function that the pickle
// asks for, BadData when it is malformed or larger than weights need (memory is bounded by a constant).
Pickle read_pickle(std::string_view bytes, const std::string& where);

}  // namespace cmc::checkpoint
