#pragma once
#include <exception>
#include <functional>

#include "pipeline/store/unit.hpp"

namespace cmc::stages {

// Whether memory of device or host ran out: std::bad_alloc, or what LibTorch throws in its place.
bool is_out_of_memory(const std::exception& error);

// `work`, and while memory runs out `work` again after `spare`, which makes it need less; what it throws when `spare` says
// that nothing can be spared.
store::Unit with_less_memory(const std::function<store::Unit()>& work, const std::function<bool()>& spare);

}  // namespace cmc::stages
