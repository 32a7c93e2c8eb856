#pragma once
#include <vector>

#include "stages/planning/stage.hpp"

namespace cmc::stages {

// In the order they plan: a stage may ask only for what earlier ones planned.
const std::vector<Stage>& stages();

extern const Stage pretrain_stage;    // the embedded experiment's small models
extern const Stage token_map_stage;   // PM-MinED for every target of another vocabulary
extern const Stage prepare_stage;     // fine-tuning of the models on what will be unlearned
extern const Stage train_stage;       // the delta models
extern const Stage adapt_stage;       // fine-tuning and LoRA of each target
extern const Stage similarity_stage;  // logit shifts of model pairs
extern const Stage instruct_stage;    // AlpacaEval: generation and the likelihood of the reference
extern const Stage likelihood_stage;  // how probable answers are that no training read
extern const Stage ifeval_stage;      // IFEval: generation and rules that check it
extern const Stage byte_exact_stage;  // how far each token map is from what it stands in for
extern const Stage judge_stage;       // win rates of the instruct responses by a local model
extern const Stage unlearn_stage;     // TOFU: generation and scoring
extern const Stage relearn_stage;     // what has unlearned is trained on part of it again
extern const Stage robustness_stage;  // TOFU under stress tests: does what was unlearned come back?

}  // namespace cmc::stages
