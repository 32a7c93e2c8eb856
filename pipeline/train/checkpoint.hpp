#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/optimizer.hpp"
#include "pipeline/train/training.hpp"

namespace cmc::train {

// What a training needs to go on. The order of examples and partners follows from the seed and the step, so there is no
// other generator state.
struct TrainingState {
  int64_t step = 0;
  std::string identity;  // digest over settings, data and Training::identity
  History history;
  torch::Tensor best;  // weights after the best evaluation (copy_weights); undefined: none, or not asked for
};

// Publishes folder/step-NNNNNNNN (model/ = what DecoderModel::save writes; moments.f32 = both moments flat,
// little-endian; best.f32 = the best weights so far, where they are kept; state.json) as a whole, then removes older
// ones.
void write_checkpoint(const std::filesystem::path& folder, const TrainingState& state, const model::DecoderModel& model,
                      AdamW& optimizer);

// Newest step in `folder`, or -1.
int64_t newest_checkpoint(const std::filesystem::path& folder);

// Puts weights and moments back. Throws BadData naming the file when it is damaged or belongs to another training.
TrainingState read_checkpoint(const std::filesystem::path& folder, int64_t step, const std::string& identity,
                              model::DecoderModel& model, AdamW& optimizer);

// Removes all of a finished training's checkpoints, and the folder.
void remove_checkpoints(const std::filesystem::path& folder);

}  // namespace cmc::train
