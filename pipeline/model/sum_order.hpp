#pragma once
#include "pipeline/checkpoint/model_config.hpp"

namespace cmc::model {

// Whether models of this description compute the same bits on any number of threads: in float32 on this machine's CPU
// every operation, gradients included, is a loop of pipeline/cpu, and these make each sum in one order. Torch's own sum
// and vectorise by what each thread is given.
bool sums_in_one_order(const checkpoint::ModelConfig& config);

}  // namespace cmc::model
