#pragma once
#include <string>

#include "stages/planning/known_shapes.hpp"

namespace cmc::stages {

// A known model's sizes, with fewer `layers` (0: all). Throws Usage naming the known ones.
checkpoint::ModelConfig shape_named(const std::string& name, int64_t layers);

}  // namespace cmc::stages
