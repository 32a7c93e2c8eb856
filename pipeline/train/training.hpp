#pragma once
#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/example.hpp"
#include "pipeline/train/frozen_model.hpp"
#include "pipeline/train/objective.hpp"
#include "pipeline/train/optimizer.hpp"
#include "pipeline/train/schedule.hpp"

namespace cmc::train {

// Over which tokens a step's loss is a mean.
enum class LossMean {
  micro_batches,  // mean of the means of the micro-batches, as in the published code (Trainer before transformers 4.46)
  tokens,         // mean over all label tokens of the step (Trainer since)
};

// Which weights a training ends with. best: those after the evaluation with the lowest held-out loss.
enum class KeptWeights { last, best };
KeptWeights kept_weights(std::string_view name);  // throws BadExperiment naming the known ones
std::string_view name_of(KeptWeights kept);

struct TrainSettings {  // defaults: the protocol's instruction tuning
  Objective objective = Objective::cross_entropy;
  LossMean mean = LossMean::micro_batches;
  double alpha = 1.0;          // strength of the delta in the fused logits
  ForgetSettings forget = {};  // of the objective; published_settings() where nothing else is said
  int64_t batch = 4;           // examples in a micro-batch
  int64_t accumulation = 16;   // micro-batches in a step
  int64_t epochs = 3;          // the last step of an epoch takes what is left
  int64_t max_steps = 0;       // > 0: at most so many; the schedule ends there too
  double learning_rate = 2e-4;
  ScheduleShape schedule = ScheduleShape::cosine;
  double schedule_floor = 0;  // share of the peak at which a linear or cosine schedule ends
  Warmup warmup = {.ratio = 0.03};
  AdamWSettings adamw;
  double max_gradient_norm = 1.0;  // 0: no clipping
  uint64_t seed = 0;               // order of the examples, retain partners, adapters' dropout
  // The micro-batches of a step are dealt to this many shares, whose gradients are summed in order. Part of what is
  // computed: fewer ranks work through the same shares one after the other and get the same bits. Ranks beyond it do
  // nothing.
  int shares = 1;
  int64_t checkpoint_every = 0;  // steps; 0: only when stopped
  // Steps between evaluations on Training::held_out, the last one after the last step; 0: none.
  int64_t evaluate_every = 0;
  KeptWeights keep = KeptWeights::last;
  int64_t loss_memory_bytes = int64_t{128} << 20;  // see FusedRows
  // Consecutive micro-batches of a share go through the model together while they have at most so many tokens; 0: each
  // alone; none: what is fast on the device, each alone on a CPU. The same sums in another order.
  std::optional<int64_t> pass_tokens;
  // On CUDA: the same bits each time, by slower kernels, with each micro-batch in a pass of its own. A CPU's are the
  // same anyway. Kept states of frozen models are made by who keeps them (HiddenStoreSettings::pass_tokens = 0).
  bool deterministic = false;
  bool recompute_layers = false;         // gradient checkpointing: less memory, a second forward pass, the same numbers
  HiddenStoreSettings reference_states;  // where kl keeps the states of the model before
};

TrainSettings instruction_settings();  // protocol.md: 4 × 16, 3 epochs, cosine, warm-up 0.03, 2e-4
TrainSettings
unlearning_settings();  // protocol.md: grad_diff, 4 × 4, 20 epochs, linear, warm-up one epoch, 1e-4, decay 0.01

struct TrainData {
  std::vector<Example> examples;  // the forget set for unlearning
  std::vector<Example> retain;    // for objectives with a retain term
  // idk and dpo: the question of each example with a refusal as its answer. k times as many as examples: epoch e takes
  // those from (e mod k) · examples on, so that k = epochs draws refusals anew each epoch, as TOFU's code does.
  std::vector<Example> refusals = {};
};

struct StepReport {
  int64_t step = 0;  // from 1
  int64_t total = 0;
  double epoch = 0;          // epochs done
  double loss = 0;           // what is minimised
  double examples_loss = 0;  // mean CE of the examples (nat); 0 where none is read
  double refusals_loss = 0;  // mean CE of the refusals; 0 without
  double retain_loss = 0;    // mean CE of the retain examples, for kl their mean divergence; 0 without
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  double seconds = 0;
  int64_t tokens = 0;  // read by the trained model, all ranks
  int64_t labels = 0;  // trained on, all ranks
};

// The objective on the held-out examples: what a step over all of them, in order, would report, with nothing dropped
// out.
struct HeldOutLoss {
  int64_t step = 0;                                                        // how many there were before
  double loss = 0, examples_loss = 0, refusals_loss = 0, retain_loss = 0;  // as in StepReport
};
// Place of the lowest loss, the earliest of equals; none: there is none that is a number.
std::optional<size_t> best_of(const std::vector<HeldOutLoss>& losses);

// What is told of a training.
struct History {
  std::vector<StepReport> steps;
  std::vector<HeldOutLoss> held_out;  // of settings.evaluate_every
};

// A training, ready to run. References must outlive train().
struct Training {
  model::DecoderModel& trained;  // its trainable() are float32 and updated in place; an objective that compares does so
                                 // with what they are now, so a run that goes on starts from the same values
  std::vector<FrozenModel> frozen;  // empty: plain fine-tuning
  const TrainData& data;
  const TrainData* held_out = nullptr;  // never trained on; needed where settings.evaluate_every asks for it
  TrainSettings settings;
  // Data parallel; null: this process alone, or the ranks that hold a model together. Where several groups of ranks
  // hold a model each, this joins the ranks with the same part of it.
  distributed::Communicator group;
  std::filesystem::path checkpoints;              // folder for step-NNNNNNNN; empty: no checkpoints, cannot be resumed
  std::string identity;                           // what made it (task key); a checkpoint of another one is refused
  std::function<void(const StepReport&)> report;  // rank 0, after every step
  std::function<void(const HeldOutLoss&)> evaluated = {};  // rank 0, after every evaluation
  std::function<bool()> stop;  // any rank: true = write a checkpoint after this step and throw Stopped
  std::shared_ptr<model::KeptMemory> chunk_memory = std::make_shared<model::KeptMemory>();
};

// The part of the vocabulary that this rank computes losses of: where the trained model or one beside it is split over
// ranks, all of them share out every row of logits.
VocabularyPart vocabulary_part(const Training& training);

int64_t steps_per_epoch(const TrainSettings& settings, int64_t examples);
int64_t total_steps(const TrainSettings& settings, int64_t examples);

}  // namespace cmc::train
