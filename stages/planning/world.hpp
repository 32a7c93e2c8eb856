#pragma once
#include <filesystem>

#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// The folder of the experiment's generated world for `seed`: its data files, and its two vocabularies as vocabulary_a
// and vocabulary_b. Made in `output`/world/ at the first call (some seconds), whole or not at all; the same bytes
// everywhere.
std::filesystem::path made_world(const Experiment& experiment, int64_t seed, const std::filesystem::path& output);

}  // namespace cmc::stages
