#pragma once
#include "pipeline/distributed/plan.hpp"
#include "pipeline/store/unit.hpp"
#include "pipeline/train/trainer.hpp"
#include "stages/experiment/experiment.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {

// What a section says of a training, as a task's parameters.
// `loss`: what it unlearns by in place of the section's; "": that.
records::TrainingParameters training_parameters(const sections::Training& section, int64_t seed,
                                                const std::string& loss = "");
// The same for LoRA: its own learning rate, and the section's adapters.
records::TrainingParameters with_lora(records::TrainingParameters training, const sections::Lora& lora);
// What is trained of the model that `reference` names: all of it, in float32; or where the parameters ask for LoRA new
// adapters, in float32 beside the frozen model in compute().dtype. Over the ranks of the task's tensor-parallel group
// where it has one.
model::DecoderModel trained_part(const distributed::Task& task, const records::ModelReference& reference,
                                 const records::TrainingParameters& training, Workbench& bench);
train::TrainSettings training_settings(const records::TrainingParameters& training,
                                       train::TrainSettings protocol_defaults);

// A training of this run: goes on from its checkpoint where there is one, publishes the model as checkpoints/<key>/
// with the tokenizer of `tokenizer_folder`, and gives the unit with the loss of every step and evaluation.
struct TrainingRun {
  const distributed::Task& task;
  model::DecoderModel trained;
  std::vector<train::FrozenModel> frozen;
  train::TrainData data;
  train::TrainSettings settings;
  std::filesystem::path tokenizer_folder;
  int64_t held_out_items = 0;  // last examples of the data that are evaluated on in place of trained on
};
store::Unit run_training(TrainingRun run, Workbench& bench, const distributed::Communicator& group);

}  // namespace cmc::stages
