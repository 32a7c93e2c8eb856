#pragma once
#include <string_view>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/distributed/plan.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::stages {

class Planner;
class Workbench;

// A stage knows two things: which tasks an experiment asks of it, and how to run one from its parameters alone.
struct Stage {
  std::string_view name;
  int revision;  // in the key of its tasks: raise it where the same parameters come to give other results
  enum class Runs { models, no_model } runs;  // models: their device and type of numbers are in the key too
  void (*plan)(Planner& planner);
  // Every rank of `group` calls it; rank 0's unit is stored. Fills datasets, ragged and cost.
  store::Unit (*run)(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group);
};

// In the order they plan: a stage may ask only for what earlier ones planned.
const std::vector<Stage>& stages();

extern const Stage pretrain_stage;   // the embedded experiment's small models
extern const Stage token_map_stage;  // PM-MinED for every target of another vocabulary
extern const Stage prepare_stage;    // fine-tuning of the models on what will be unlearned
extern const Stage train_stage;      // the delta models
extern const Stage adapt_stage;      // fine-tuning and LoRA of each target
extern const Stage similarity_stage; // logit shifts of model pairs
extern const Stage instruct_stage;   // AlpacaEval: generation and the likelihood of the reference
extern const Stage judge_stage;      // win rates of the instruct responses by a local model
extern const Stage unlearn_stage;    // TOFU: generation and scoring

}  // namespace cmc::stages
