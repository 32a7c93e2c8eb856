#include "pipeline/train/trainer.hpp"

#include <ATen/Context.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/model/device_memory.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/train/batches.hpp"
#include "pipeline/train/check_training.hpp"
#include "pipeline/train/checkpoint.hpp"
#include "pipeline/train/gradient.hpp"
#include "pipeline/train/held_out.hpp"

namespace cmc::train {
namespace {

enum Extra {
  extra_loss,
  extra_examples,
  extra_refusals,
  extra_retain,
  extra_tokens,
  extra_labels,
  extra_stop,
  extra_count
};

std::string digest(const TrainData& data) {
  return digest(data.examples) + digest(data.retain) + digest(data.refusals);
}

// Everything the numbers depend on: a checkpoint made under another identity cannot be gone on with.
std::string identity_of(const Training& training) {
  const TrainSettings& s = training.settings;
  Json frozen = Json::array();
  for (const FrozenModel& each : training.frozen) frozen.push_back({each.coefficient, each.model->config().source});
  Json adapters;
  if (const model::LoraSettings* lora = training.trained.adapters()) {
    adapters = {lora->rank, lora->alpha, lora->dropout, lora->targets};
  }
  Json identity = {
      {"identity", training.identity},
      {"data", {digest(training.data.examples), digest(training.data.retain), digest(training.data.refusals)}},
      {"trained", training.trained.config().source},
      {"adapters", adapters},
      {"frozen", frozen},
      {"objective", name_of(s.objective)},
      {"mean", s.mean == LossMean::tokens ? "tokens" : "micro_batches"},
      {"alpha", s.alpha},
      {"forget", {s.forget.weight, s.forget.beta, s.forget.beta2, s.forget.margin, s.forget.bound, s.forget.skipped}},
      {"steps", {s.batch, s.accumulation, s.epochs, s.max_steps, s.shares}},
      {"rate",
       {s.learning_rate, name_of(s.schedule), s.schedule_floor, s.warmup.ratio, s.warmup.steps, s.warmup.epochs}},
      {"adamw", {s.adamw.beta1, s.adamw.beta2, s.adamw.epsilon, s.adamw.weight_decay, s.max_gradient_norm}},
      {"decayed", s.adamw.decayed == DecayedWeights::all ? "all" : "matrices"},
      {"seed", s.seed}};
  if (s.evaluate_every > 0) identity["held_out"] = {s.evaluate_every, name_of(s.keep), digest(*training.held_out)};
  return sha256(identity.dump());
}

// How many tokens of micro-batches go through the trained model together.
int64_t pass_tokens_of(const Training& training) {
  const TrainSettings& settings = training.settings;
  const model::LoraSettings* const adapters = training.trained.adapters();
  if (adapters && adapters->dropout > 0) return 0;  // each micro-batch has a seed of its own
  const torch::Device device = training.trained.device();
  if (settings.pass_tokens || settings.deterministic || device.is_cpu()) return settings.pass_tokens.value_or(0);
  constexpr int64_t enough = 16384;  // fills any card
  const auto& config = training.trained.config();
  // Numbers of one token that the backward pass finds again in each layer: about these, or the layer's input alone.
  const int64_t ranks = training.trained.group().tensor_rank().size;
  const int64_t within =
      12 * config.hidden + (4 * (config.heads + config.kv_heads) * config.head_dim + 4 * config.intermediate) / ranks;
  const int64_t numbers = settings.recompute_layers ? config.layers * config.hidden + within : config.layers * within;
  const int64_t fits = std::clamp<int64_t>(model::memory_of(device).free / 2 / (4 * numbers), 0, enough);
  return vocabulary_part(training).group().smallest(fits);
}

// PyTorch's deterministic algorithms for as long as this lives.
class DeterministicKernels {
 public:
  explicit DeterministicKernels(bool on) : before_(at::globalContext().deterministicAlgorithms()) {
    if (!on) return;
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicFillUninitializedMemory(
        false);  // a debugging aid that costs a pass over memory
  }
  ~DeterministicKernels() { at::globalContext().setDeterministicAlgorithms(before_, /*warn_only=*/false); }
  DeterministicKernels(const DeterministicKernels&) = delete;
  DeterministicKernels& operator=(const DeterministicKernels&) = delete;

 private:
  bool before_;
};

class Trainer {
 public:
  explicit Trainer(const Training& training)
      : training_(training),
        settings_(training.settings),
        total_(total_steps(settings_, std::ssize(training.data.examples))),
        per_epoch_(steps_per_epoch(settings_, std::ssize(training.data.examples))),
        warmup_(warmup_steps(settings_.warmup, total_, per_epoch_)),
        pass_tokens_(pass_tokens_of(training)),
        part_(vocabulary_part(training)),
        parts_(training.trained.trained_parts()),
        optimizer_(training.trained.trainable(), settings_.adamw),
        sum_(training.trained.trainable(), extra_count) {
    if (parts_of(settings_.objective).compares()) reference_.emplace(training);
    if (settings_.evaluate_every > 0) held_out_ = batches_in_order(*training.held_out, settings_);
    state_.identity = identity_of(training);
    const distributed::ShareRange mine =
        distributed::shares_of(training.group.rank(), training.group.size(), settings_.shares);
    first_share_ = mine.first;
    // A lone share is summed in place; more have a gradient each, because a sum in order needs them apart.
    if (settings_.shares == 1 && training.group.size() == 1) return;
    for (int share = mine.first; share < mine.last; ++share) {
      shares_.emplace_back(training.trained.trainable(), extra_count);
    }
  }
  ~Trainer() {
    detach_gradients(training_.trained);
    training_.trained.require_gradients(false);
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  History run() {
    training_.trained.require_gradients(true);
    resume();
    while (state_.step < total_) {
      const bool stop = run_step();
      const bool last = state_.step == total_;
      if (settings_.evaluate_every > 0 && (last || state_.step % settings_.evaluate_every == 0)) evaluate();
      const bool due = settings_.checkpoint_every > 0 && state_.step % settings_.checkpoint_every == 0;
      if (!last && (stop || due)) save();
      if (!last && stop) throw_stopped();
    }
    if (!state_.best.empty()) put_back(state_.best, training_.trained);
    return std::move(state_.history);
  }

 private:
  void resume();
  void save();
  bool run_step();
  void evaluate();
  Reference* reference() { return reference_ ? &*reference_ : nullptr; }
  void fill_states(const std::vector<MicroBatch>& step);
  void run_share(int share, FlatTensors& gradients, const std::vector<MicroBatch>& step);
  void sum_over_ranks();
  double complete_gradients();
  // The first of all ranks writes and reports. They share out the examples, and in groups of these hold a model.
  bool leads() const { return training_.group.rank() == 0 && part_.group().tensor_rank().index == 0; }
  // What the first rank says, on all of them.
  void tell(std::span<std::byte> bytes) const {
    if (part_.is_split()) part_.group().ranks().broadcast(bytes, 0);
    training_.group.broadcast(bytes, 0);
  }
  [[noreturn]] void throw_stopped() const;

  const Training& training_;
  const TrainSettings& settings_;
  int64_t total_, per_epoch_, warmup_, pass_tokens_;
  VocabularyPart part_;
  model::TrainedParts parts_;
  int first_share_ = 0;
  AdamW optimizer_;
  FlatTensors sum_;
  std::vector<FlatTensors> shares_;
  TrainingState state_;
  std::optional<Reference> reference_;
  std::vector<MicroBatch> held_out_;
};

void Trainer::resume() {
  if (training_.checkpoints.empty()) return;
  int64_t step = -1;
  if (leads()) step = newest_checkpoint(training_.checkpoints);
  tell(std::as_writable_bytes(std::span(&step, 1)));
  if (step < 0) return;
  state_ = read_checkpoint(training_.checkpoints, step, state_.identity, training_.trained, optimizer_);
}

// Rank 0 writes; a failure there is one of every rank, so that none waits for the others in the next step. All give its
// reason: any of them may be the first whose message is heard.
void Trainer::save() {
  if (training_.checkpoints.empty()) return;
  std::exception_ptr failure;
  std::string reason;
  SavedTraining saved;
  const bool gathers = training_.group.rank() == 0 && training_.trained.group().is_split();
  if (gathers || leads()) saved = saved_training(state_, training_.trained, optimizer_);
  if (leads()) {
    try {
      write_checkpoint(training_.checkpoints, state_, saved);
    } catch (const std::exception& error) {
      failure = std::current_exception();
      reason = error.what();
    }
  }
  char failed = failure ? 1 : 0;
  tell(std::as_writable_bytes(std::span(&failed, 1)));
  if (!failed) return;
  auto length = static_cast<int64_t>(reason.size());
  tell(std::as_writable_bytes(std::span(&length, 1)));
  reason.resize(static_cast<size_t>(length));
  tell(std::as_writable_bytes(std::span(reason)));
  if (failure) std::rethrow_exception(failure);
  throw IoError({training_.checkpoints.string(), "rank 0 could not write a checkpoint: " + reason, ""});
}

void Trainer::throw_stopped() const {
  throw Stopped(
      {training_.checkpoints.string(),
       "training stopped after step " + std::to_string(state_.step) + " of " + std::to_string(total_),
       training_.checkpoints.empty() ? "it has no checkpoint folder and starts again" : "run again to go on"});
}

// What the step needs of frozen models: with several ranks each computes a part.
void Trainer::fill_states(const std::vector<MicroBatch>& step) {
  const ObjectiveParts parts = parts_of(settings_.objective);
  const bool diverges = parts.retain == ObjectiveParts::Retain::divergence,
             dampens = parts.examples == ObjectiveParts::Examples::dampened;
  std::vector<const Example*> all, compared;  // with what the reference gives them
  for (const MicroBatch& batch : step) {
    const std::vector<const Example*> of_batch = batch.all();
    all.insert(all.end(), of_batch.begin(), of_batch.end());
    if (dampens) compared.insert(compared.end(), batch.examples.begin(), batch.examples.end());
    if (diverges) compared.insert(compared.end(), batch.retain.begin(), batch.retain.end());
  }
  for (const FrozenModel& frozen : training_.frozen) {
    if (frozen.states) frozen.states->fill(all, training_.group);
  }
  if (!compared.empty()) reference_->states().fill(compared, training_.group);
}

void Trainer::run_share(int share, FlatTensors& gradients, const std::vector<MicroBatch>& step) {
  gradients.flat().zero_();
  attach(training_.trained, gradients);
  const int64_t count = std::ssize(step), shares = settings_.shares;
  StepSums sums;
  const int64_t begin = share * count / shares, end = (share + 1) * count / shares;
  auto left = std::span(step).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  while (!left.empty()) {
    const std::vector<WeighedBatch> pass = next_pass(settings_, pass_tokens_, left, step);
    const StepSums of_pass = add_gradient(training_, reference(), pass);
    sums.loss += of_pass.loss;
    sums.examples_loss += of_pass.examples_loss;
    sums.refusals_loss += of_pass.refusals_loss;
    sums.retain_loss += of_pass.retain_loss;
    sums.tokens += of_pass.tokens;
    sums.labels += of_pass.labels;
    left = left.subspan(pass.size());
  }
  const torch::Tensor extra = gradients.extra();
  extra[extra_loss] = sums.loss;
  extra[extra_examples] = sums.examples_loss;
  extra[extra_refusals] = sums.refusals_loss;
  extra[extra_retain] = sums.retain_loss;
  extra[extra_tokens] = sums.tokens;
  extra[extra_labels] = sums.labels;
}

void Trainer::evaluate() {
  fill_states(held_out_);
  auto& losses = state_.history.held_out;
  losses.push_back(held_out_loss(training_, reference(), held_out_, pass_tokens_));
  losses.back().step = state_.step;
  if (settings_.keep == KeptWeights::best && best_of(losses) == losses.size() - 1)
    state_.best = copy_weights(training_.trained);
  if (training_.evaluated && leads()) training_.evaluated(losses.back());
}

void Trainer::sum_over_ranks() {
  std::vector<torch::Tensor> on_host;
  std::vector<std::span<const float>> mine;
  for (FlatTensors& share : shares_) {
    on_host.push_back(share.flat().cpu());
    mine.emplace_back(on_host.back().data_ptr<float>(), static_cast<size_t>(on_host.back().numel()));
  }
  const torch::Tensor sum = sum_.flat().device().is_cpu() ? sum_.flat() : torch::empty_like(sum_.flat(), torch::kCPU);
  training_.group.ordered_sum(mine, {sum.data_ptr<float>(), static_cast<size_t>(sum.numel())});
  if (!sum.is_same(sum_.flat())) sum_.flat().copy_(sum);
}

// What this rank's part gave, made the whole model's. Returns its norm.
double Trainer::complete_gradients() {
  const bool is_whole = !training_.trained.group().is_split();
  if (is_whole && part_.is_split()) sum_.values().copy_(part_.group().sum(sum_.values()));
  parts_.complete(sum_.views());
  return parts_.norm(sum_.views());
}

bool Trainer::run_step() {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<MicroBatch> step = batches_of_step(training_.data, settings_, state_.step);
  fill_states(step);
  bool wants_stop = training_.stop && training_.stop();
  if (part_.is_split()) wants_stop = part_.group().ranks().any(wants_stop);
  if (settings_.shares == 1 && training_.group.size() == 1) {
    run_share(0, sum_, step);
    sum_.extra()[extra_stop] = wants_stop ? 1.0 : 0.0;
  } else {
    for (size_t i = 0; i < shares_.size(); ++i) {
      run_share(first_share_ + static_cast<int>(i), shares_[i], step);
      shares_[i].extra()[extra_stop] = wants_stop ? 1.0 : 0.0;
    }
    sum_over_ranks();
  }
  const double norm = complete_gradients();
  clip_gradients(sum_, norm, settings_.max_gradient_norm);
  const double rate = settings_.learning_rate *
                      learning_rate_factor(settings_.schedule, state_.step, warmup_, total_, settings_.schedule_floor);
  optimizer_.step(sum_, rate);
  ++state_.step;
  const torch::Tensor extra = sum_.extra().to(torch::kCPU, torch::kFloat64);
  const double* const values = extra.data_ptr<double>();
  state_.history.steps.push_back(
      {.step = state_.step,
       .total = total_,
       .epoch = static_cast<double>(state_.step) / static_cast<double>(per_epoch_),
       .loss = values[extra_loss],
       .examples_loss = values[extra_examples],
       .refusals_loss = values[extra_refusals],
       .retain_loss = values[extra_retain],
       .learning_rate = rate,
       .gradient_norm = norm,
       .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
       .tokens = static_cast<int64_t>(values[extra_tokens]),
       .labels = static_cast<int64_t>(values[extra_labels])});
  if (training_.report && leads()) training_.report(state_.history.steps.back());
  return values[extra_stop] > 0;
}

}  // namespace

History train(const Training& training) {
  check_training(training);
  const DeterministicKernels deterministic(training.settings.deterministic);
  return Trainer(training).run();
}

}  // namespace cmc::train
