#pragma once
#include <string>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::stages {

// The names that shape_named knows: real models, and `tiny` for trying things.
std::vector<std::string> shape_names();

// A model's sizes as its config.json gives them. `layers`: fewer of them; 0: all. Throws Usage naming the known ones.
checkpoint::ModelConfig shape_named(const std::string& name, int64_t layers);

// A delta of about 15M parameters beside a vocabulary of 32,000 tokens (paper, section 4), with all its own weights.
checkpoint::ModelConfig delta_shape(int64_t vocabulary);

}  // namespace cmc::stages
