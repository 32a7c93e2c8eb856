#pragma once
#include <torch/types.h>

#include <vector>

#include "pipeline/train/batches.hpp"
#include "pipeline/train/reference.hpp"
#include "pipeline/train/training.hpp"

namespace cmc::train {

// Takes the last `count` examples out of the data, with their refusals, and as many of the last retain examples where
// there are any. Throws BadData when nothing would be left.
TrainData hold_out(TrainData& data, int64_t count);

// The objective over `batches` (batches_in_order), in passes of at most `pass_tokens` tokens, which the ranks take by
// turns. Summed in the order of the passes: the same bits for any number of ranks. Collective.
HeldOutLoss held_out_loss(const Training& training, Reference* reference, const std::vector<MicroBatch>& batches,
                          int64_t pass_tokens);

// Copies of the trainable weights on the host, and these put back.
std::vector<torch::Tensor> copy_weights(const model::DecoderModel& model);
void put_back(const std::vector<torch::Tensor>& weights, model::DecoderModel& model);

}  // namespace cmc::train
