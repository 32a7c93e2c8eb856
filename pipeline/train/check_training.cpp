#include "pipeline/train/check_training.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {

void check_settings(const TrainSettings& s) {
  const auto require = [](bool holds, const char* field, const char* remedy) {
    if (!holds) throw BadExperiment({std::string("training: ") + field, "is out of range", remedy});
  };
  require(s.batch > 0, "batch", "give at least one example a micro-batch");
  require(s.accumulation > 0, "accumulation", "give at least one micro-batch a step");
  require(s.epochs > 0, "epochs", "give at least one");
  require(s.max_steps >= 0, "max_steps", "give 0 for no limit");
  require(s.learning_rate > 0, "learning_rate", "give a positive number");
  require(s.schedule_floor >= 0 && s.schedule_floor <= 1, "schedule_floor", "give a share of the peak, 0 to 1");
  require(s.adamw.beta1 >= 0 && s.adamw.beta1 < 1, "beta1", "give a number from 0 to below 1");
  require(s.adamw.beta2 >= 0 && s.adamw.beta2 < 1, "beta2", "give a number from 0 to below 1");
  require(s.forget.beta > 0, "forget beta", "give a positive number");
  require(s.forget.beta2 >= 0, "forget beta2", "give a number from 0 on");
  require(s.forget.weight > 0, "forget weight", "give a positive number");
  require(s.forget.skipped >= 0, "forget skipped", "give 0 for none");
  require(s.max_gradient_norm >= 0, "max_gradient_norm", "give 0 for no clipping");
  require(s.shares > 0, "shares", "give at least one");
  require(s.checkpoint_every >= 0, "checkpoint_every", "give 0 for none but when stopped");
  require(s.evaluate_every >= 0, "evaluate_every", "give 0 for none");
  require(s.keep == KeptWeights::last || s.evaluate_every > 0, "keep", "evaluate, to know which weights are best");
  require(s.warmup.ratio >= 0 && s.warmup.ratio <= 1, "warmup ratio", "give a part of the steps, 0 to 1");
}

void check_models(const Training& training) {
  const int64_t vocabulary = training.trained.config().vocabulary;
  for (const FrozenModel& frozen : training.frozen) {
    expect(frozen.model != nullptr, "a frozen model is given");
    expect(!frozen.states || &frozen.states->model() == frozen.model.get(), "kept states belong to the frozen model");
    if (frozen.model->config().vocabulary != vocabulary) {
      throw BadData({"vocabulary of the trained model",
                     "has " + std::to_string(vocabulary) + " tokens, its template " +
                         std::to_string(frozen.model->config().vocabulary),
                     "train a delta beside a template of its own vocabulary"});
    }
  }
}

// `which`: "" or "held-out ", in errors.
void check_data(const TrainData& data, const ObjectiveParts& parts, int64_t vocabulary, const std::string& which) {
  check_examples(data.examples, vocabulary, which + "training examples");
  if (parts.retain != ObjectiveParts::Retain::none) check_examples(data.retain, vocabulary, which + "retain examples");
  if (!parts.refusals) return;
  check_examples(data.refusals, vocabulary, which + "refusals");
  if (data.refusals.size() % data.examples.size() != 0) {
    throw BadData({which + "refusals",
                   "are " + std::to_string(data.refusals.size()) + " for " + std::to_string(data.examples.size()) +
                       " training examples",
                   "give each example one, or equally many"});
  }
}

}  // namespace

void check_training(const Training& training) {
  check_settings(training.settings);
  check_models(training);
  const ObjectiveParts parts = parts_of(training.settings.objective);
  const int64_t vocabulary = training.trained.config().vocabulary;
  check_data(training.data, parts, vocabulary, "");
  if (training.settings.evaluate_every == 0) return;
  expect(training.held_out != nullptr, "what is evaluated on is given");
  check_data(*training.held_out, parts, vocabulary, "held-out ");
}

}  // namespace cmc::train
