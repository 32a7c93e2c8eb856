// Losses and gradients of every objective's training, with and without adapters.
#include <cmath>

#include "pipeline/model/lora.hpp"
#include "pipeline/train/held_out.hpp"
#include "pipeline/train/trainer.hpp"
#include "tests/cuda/checks.hpp"

namespace cmc::device_checks {
namespace {

train::Example example_of(int64_t tokens, uint64_t seed) {
  train::Example example;
  for (const int64_t token : some_tokens(tokens, 400, seed)) example.tokens.push_back(static_cast<int32_t>(token));
  example.labels = example.tokens;
  for (size_t i = 0; i < 4; ++i) example.labels[i] = train::ignored_label;
  return example;
}

train::TrainData data() {
  train::TrainData made;
  for (uint64_t i = 0; i < 8; ++i) {
    const auto length = 12 + static_cast<int64_t>(i);
    made.examples.push_back(example_of(length, i));
    made.retain.push_back(example_of(length, 100 + i));
    made.refusals.push_back(example_of(length, 200 + i));
  }
  return made;
}

struct Trained {
  train::History history;
  torch::Tensor weights;  // of all that was trained, one after the other
};

Trained trained_on(torch::Device device, const std::string& objective, bool lora, bool deterministic) {
  train::TrainData examples = data();
  const train::TrainData held_out = train::hold_out(examples, 2);
  model::DecoderModel model = *make_model(llama_config(400, 32, 2, 2, 2, 64, 0.1), torch::kFloat32, device);
  if (lora) model = model.with_adapters({.rank = 4, .alpha = 8, .dropout = 0, .targets = {"q_proj", "down_proj"}}, 3);
  const Shared below = make_model(llama_config(400, 64, 2, 4, 2, 128, 0.1), torch::kFloat32, device);
  train::TrainSettings settings;
  settings.objective = train::objective(objective);
  settings.batch = 2;
  settings.accumulation = 2;
  settings.epochs = 3;
  settings.evaluate_every = 2;
  settings.learning_rate = 1e-3;
  settings.recompute_layers = lora;
  settings.deterministic = deterministic;
  const std::vector<train::FrozenModel> frozen = {
      {below, std::make_shared<train::HiddenStore>(below, train::HiddenStoreSettings{}), 1.0}};
  Trained result;
  result.history = train::train({.trained = model,
                                 .frozen = frozen,
                                 .data = examples,
                                 .held_out = &held_out,
                                 .settings = settings,
                                 .group = {},
                                 .checkpoints = {},
                                 .identity = "check",
                                 .report = {},
                                 .stop = {}});
  std::vector<torch::Tensor> parts;
  for (const auto& [name, tensor] : model.trainable()) parts.push_back(tensor.detach().cpu().flatten());
  result.weights = torch::cat(parts);
  return result;
}

}  // namespace

void check_training(torch::Device device) {
  for (const std::string objective : {"cross_entropy", "grad_diff", "grad_diff_bounded", "kl", "idk", "dpo", "npo"})
    for (const bool lora : {false, true}) {
      const std::string name = "training, " + objective + (lora ? ", adapters, layers run again" : "");
      guarded(name, [&] {
        const Trained truth = trained_on(torch::kCPU, objective, lora, false),
                      mine = trained_on(device, objective, lora, false);
        const auto gap = [&](double a, double b) { return std::abs(a - b) / std::max(1.0, std::abs(b)); };
        double loss = 0, gradient = 0, held_out = 0;
        for (size_t i = 0; i < truth.history.steps.size(); ++i) {
          const train::StepReport &step = mine.history.steps.at(i), &wanted = truth.history.steps[i];
          loss = std::max(loss, gap(step.loss, wanted.loss));
          gradient = std::max(gradient, gap(step.gradient_norm, wanted.gradient_norm));
        }
        for (size_t i = 0; i < truth.history.held_out.size(); ++i)
          held_out = std::max(held_out, gap(mine.history.held_out.at(i).loss, truth.history.held_out[i].loss));
        report(name + ": losses", loss, 1e-4);
        report(name + ": gradient norms", gradient, 1e-3);
        report(name + ": held-out losses", held_out, 1e-4);
      });
    }
  guarded("deterministic training", [&] {
    const Trained once = trained_on(device, "grad_diff", false, true),
                  again = trained_on(device, "grad_diff", false, true);
    const auto different = (once.weights != again.weights).sum().item<int64_t>();
    report("deterministic training: numbers that differ the second time", static_cast<double>(different), 0);
  });
}

}  // namespace cmc::device_checks
