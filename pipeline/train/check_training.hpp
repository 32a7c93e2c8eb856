#pragma once
#include "pipeline/train/training.hpp"

namespace cmc::train {

// Throws BadExperiment naming a setting that is out of range, BadData where models or examples do not fit each other,
// Internal where a training is not put together as its declaration says.
void check_training(const Training& training);

}  // namespace cmc::train
