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
  std::vector<torch::Tensor> best;  // weights after the best evaluation (copy_weights); empty: none, or not asked for
};

// The tensors of a checkpoint: those of the whole model, so that any number of ranks can go on from them.
struct SavedTraining {
  model::SavedModel model;
  model::NamedTensors moments;  // "first." and "second." before the weights' stored names
  model::NamedTensors best;     // under those names; empty: none
  int64_t optimizer_steps = 0;
};
// Collective over the ranks that hold the model together; the first has the tensors.
SavedTraining saved_training(const TrainingState& state, const model::DecoderModel& model, AdamW& optimizer);

// Publishes folder/step-NNNNNNNN (model/ = what DecoderModel::saved() is of; moments.safetensors; best.safetensors
// where the best weights so far are kept; state.json) as a whole, then removes older ones.
void write_checkpoint(const std::filesystem::path& folder, const TrainingState& state, const SavedTraining& saved);

// Newest step in `folder`, or -1.
int64_t newest_checkpoint(const std::filesystem::path& folder);

// Puts weights and moments back, of each what this rank holds. Throws BadData naming the file when it is damaged or
// belongs to another training.
TrainingState read_checkpoint(const std::filesystem::path& folder, int64_t step, const std::string& identity,
                              model::DecoderModel& model, AdamW& optimizer);

// Removes all of a finished training's checkpoints, and the folder.
void remove_checkpoints(const std::filesystem::path& folder);

}  // namespace cmc::train
