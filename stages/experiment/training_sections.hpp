#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/method.hpp"
#include "stages/experiment/setting.hpp"

// Sections of an experiment file that say how a model is trained. Defaults are the protocol's (docs/protocol.md) where
// it says one.
namespace cmc::stages::sections {

inline const std::vector<std::string_view> unlearning_losses = {
    "grad_diff",         "grad_ascent", "kl",  "idk",    "dpo", "npo",    "npo_grad_diff",
    "grad_diff_bounded", "simnpo",      "wga", "satimp", "ceu", "undial", "undial_grad_diff"};
inline constexpr Range rates = {.least = 0, .most = 10, .above_least = true};  // of learning
inline constexpr Range strengths = {.least = 0, .most = 1e6, .above_least = true};
inline const std::vector<std::string_view> schedules = {"cosine", "linear", "constant"};

// What a training leaves aside, to take its loss on it as it goes.
struct HeldOut {
  int64_t items = 0, evaluation_steps = 0;
  std::string keep = "last";
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("held_out_items", self.items,
          Help("last examples of the data that are not trained on (unlearning: of what is forgotten and of what is "
               "retained); 0: none"));
    visit("evaluation_steps", self.evaluation_steps,
          Help("steps between evaluations of the loss on these, one more after the last step; 0: none"));
    visit("keep", self.keep,
          Help("weights a training ends with; best: of the evaluation with the lowest loss", {"last", "best"}));
  }
};

// What every fine-tuning says. A member without a value is a key that the section does not have.
struct Training {
  int64_t epochs = 0;
  double learning_rate = 0;       // peak
  int64_t batch = 4;              // examples a micro-batch
  int64_t accumulation = 4;       // micro-batches a step
  double weight_decay = 0;        // of AdamW
  int64_t max_tokens = 500;       // an example; of source and of target each for instructions
  int64_t shares = 1;             // ranks that can work on it
  int64_t checkpoint_steps = 50;  // between checkpoints
  std::optional<std::string> schedule = {}, loss = {};
  std::optional<double> warmup = {};         // share of the steps
  std::optional<int64_t> warmup_steps = {};  // the longer of both counts
  // How it unlearns (train::ForgetSettings); 0 of the first three: as the loss was published.
  std::optional<double> beta = {}, beta2 = {}, forget_weight = {}, margin = {}, forget_bound = {};
  std::optional<int64_t> skipped_labels = {};
  HeldOut held_out = {};  // of instructions and of unlearning

  // What every section has, in these words.
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("batch", self.batch, Help("examples a micro-batch; of [train_*] the protocol's").from(1, 65536));
    visit("accumulation", self.accumulation, Help("micro-batches a step; of [train_*] the protocol's").from(1, 65536));
    visit("weight_decay", self.weight_decay, Help("of AdamW; of [train_unlearn] the protocol's").from(0, 10));
    visit("shares", self.shares,
          Help("ranks that can work on one training; the result depends on it, not on ranks").from(1, 1024));
  }
};

// Adapters, where a model is trained by them.
struct Lora {
  double learning_rate = 1e-4;
  int64_t rank = 0;
  double alpha = 0, dropout = 0;
  std::vector<std::string> modules = {"q_proj", "v_proj"};
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("lora_learning_rate", self.learning_rate, Help("peak, LoRA").within(rates));
    visit("lora_rank", self.rank, Help("of the adapters (protocol)").from(1, 65536));
    visit("lora_alpha", self.alpha, Help("its updates count alpha / rank (protocol)").within(strengths));
    visit("lora_dropout", self.dropout,
          Help("of what adapters read (protocol)").within({.least = 0, .most = 1, .below_most = true}));
    visit("lora_modules", self.modules, Help("linear layers with adapters (peft's default for Llama)"));
  }
};

// The embedded experiment's small models and deltas.
struct Pretrain {
  int64_t steps = 500, batch = 16, window = 128;
  double learning_rate = 4e-3, delta_learning_rate = 6e-3;
  double warmup = 0.05, floor = 0.1, beta2 = 0.98, weight_decay = 0.05;
  int64_t checkpoint_steps = 250;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("steps", self.steps, Help("optimiser steps").from(1, 1e9));
    visit("batch", self.batch, Help("windows a step").from(1, 65536));
    visit("window", self.window, Help("tokens a window, cut at random from the texts").from(2, 1e6));
    visit("learning_rate", self.learning_rate, Help("peak, for models").within(rates));
    visit("delta_learning_rate", self.delta_learning_rate, Help("peak, for deltas").within(rates));
    visit("warmup", self.warmup, Help("share of the steps").from(0, 1));
    visit("floor", self.floor, Help("what the cosine ends at, share of the peak").from(0, 1));
    visit("beta2", self.beta2, Help("of AdamW").within({.least = 0, .most = 1, .below_most = true}));
    visit("weight_decay", self.weight_decay, Help("of AdamW").from(0, 10));
    visit("checkpoint_steps", self.checkpoint_steps,
          Help("steps between checkpoints; 0: one where it is stopped alone").from(0, 1e9));
  }
};

// Template and targets on what will be unlearned.
struct Prepare : Training {
  int64_t retain_items = 0;
  records::Method method = records::Method::full;
  Lora lora{.rank = 32, .alpha = 64, .dropout = 0.05};
  Prepare() : Training{.learning_rate = 1e-5, .weight_decay = 0.01, .warmup = 0.1, .warmup_steps = 0} {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epochs", self.epochs,
          Help("fine-tuning on TOFU before unlearning; 0: the models know it already").from(0, 1e5));
    visit("retain_items", self.retain_items, Help("retained examples used; 0: all"));
    visit("method", self.method, Help("how (protocol: lora)", records::training_methods()));
    Lora::fields(self.lora, visit);
    visit("warmup_steps", *self.warmup_steps, Help("steps (protocol: 100); the longer of this and prepare.warmup"));
    visit("learning_rate", self.learning_rate, Help("peak, full fine-tuning (the TOFU paper's setting)").within(rates));
    visit("warmup", *self.warmup, Help("share of the steps").from(0, 1));
    visit("max_tokens", self.max_tokens, Help("tokens an example (protocol)").from(2, 1e6));
    Training::fields(self, visit);
  }
};

// On instruction pairs, of a delta or of a target itself.
struct InstructTraining : Training {
  explicit InstructTraining(double learning_rate)
      : Training{.epochs = 3,
                 .learning_rate = learning_rate,
                 .accumulation = 16,
                 .max_tokens = 1024,
                 .schedule = "cosine",
                 .warmup = 0.03} {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Training::fields(self, visit);
    visit("warmup", *self.warmup, Help("share of the steps; of [train_instruct] the protocol's").from(0, 1));
    visit("schedule", *self.schedule, Help("of the learning rate; of [train_instruct] the protocol's", schedules));
    visit("max_tokens", self.max_tokens, Help("tokens of source and of target at most (protocol)").from(2, 1e6));
    visit("checkpoint_steps", self.checkpoint_steps,
          Help("steps between checkpoints a killed run goes on from; 0: one where it is stopped alone").from(0, 1e9));
    HeldOut::fields(self.held_out, visit);
  }
};

// On TOFU, likewise.
struct UnlearnTraining : Training {
  explicit UnlearnTraining(double learning_rate)
      : Training{.epochs = 20,
                 .learning_rate = learning_rate,
                 .weight_decay = 0.01,
                 .schedule = "linear",
                 .loss = "grad_diff",
                 .beta = 0,
                 .beta2 = 0,
                 .forget_weight = 0,
                 .margin = 0,
                 .forget_bound = 6,
                 .skipped_labels = 1} {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("loss", *self.loss, Help("the paper's, of deltas and of targets, is grad_diff", unlearning_losses));
    visit("beta", *self.beta,
          Help("of dpo, npo, simnpo, wga, satimp, undial; 0: as published (0.1, 0.1, 4.5, 1, 5, 10)").from(0, 1e6));
    visit("beta2", *self.beta2, Help("of satimp, the exponent of 1 - p; 0: as published (1)").from(0, 1e6));
    visit("forget_weight", *self.forget_weight,
          Help("of the forget term beside the retain term; 0: as published (simnpo 0.125, satimp 0.1, others 1)")
              .from(0, 1e6));
    visit("margin", *self.margin, Help("of simnpo: taken off a sequence's mean loss (nat)").from(0, 1e6));
    visit("skipped_labels", *self.skipped_labels,
          Help("ceu: first tokens of an answer that it leaves as they are").from(0, 1e6));
    visit("forget_bound", *self.forget_bound,
          Help("grad_diff_bounded: the forget loss counts up to here (nat); not the paper's").within(strengths));
    Training::fields(self, visit);
    visit("schedule", *self.schedule, Help("after one epoch of warm-up; of [train_unlearn] the protocol's", schedules));
    visit("max_tokens", self.max_tokens, Help("tokens an example (protocol)").from(2, 1e6));
    visit("checkpoint_steps", self.checkpoint_steps,
          Help("steps between checkpoints a killed run goes on from; 0: one where it is stopped alone").from(0, 1e9));
    HeldOut::fields(self.held_out, visit);
  }
};

struct TrainInstruct : InstructTraining {
  int64_t items = 0;
  TrainInstruct() : InstructTraining(2e-4) {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("examples used; 0: all"));
    visit("epochs", self.epochs, Help("protocol: 3 to 4").from(1, 1e5));
    visit("learning_rate", self.learning_rate, Help("peak (protocol)").within(rates));
    InstructTraining::fields(self, visit);
  }
};

struct TrainUnlearn : UnlearnTraining {
  std::string forget = "forget10";
  int64_t retain_items = 0;
  TrainUnlearn() : UnlearnTraining(1e-4) {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("forget", self.forget, Help("TOFU set to forget", {"forget01", "forget05", "forget10"}));
    visit("retain_items", self.retain_items, Help("retained examples used; 0: all"));
    visit("epochs", self.epochs, Help("over the forget set (protocol)").from(1, 1e5));
    visit("learning_rate", self.learning_rate, Help("peak (protocol)").within(rates));
    UnlearnTraining::fields(self, visit);
  }
};

struct AdaptInstruct : InstructTraining {
  Lora lora{.rank = 8, .alpha = 32, .dropout = 0.1};
  AdaptInstruct() : InstructTraining(2e-5) {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epochs", self.epochs,
          Help("a target's own fine-tuning on the instruction data (methods lora and full)").from(1, 1e5));
    visit("learning_rate", self.learning_rate, Help("peak, full fine-tuning").within(rates));
    InstructTraining::fields(self, visit);
    Lora::fields(self.lora, visit);
  }
};

struct AdaptUnlearn : UnlearnTraining {
  Lora lora{.rank = 32, .alpha = 64, .dropout = 0.05};
  AdaptUnlearn() : UnlearnTraining(1e-5) {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epochs", self.epochs, Help("a target's own unlearning (methods lora and full)").from(1, 1e5));
    visit("learning_rate", self.learning_rate, Help("peak, full fine-tuning (the TOFU paper's)").within(rates));
    UnlearnTraining::fields(self, visit);
    Lora::fields(self.lora, visit);
  }
};

// Adapters of what has unlearned, on part of what it had, by cross-entropy: the robustness test relearn.
struct Relearn : Training {
  Lora lora{.learning_rate = 1e-4, .rank = 8, .alpha = 16};
  int64_t items = 0;
  Relearn() : Training{.accumulation = 1, .schedule = "constant", .warmup = 0, .warmup_steps = 0} {}
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("of every second item of the forget set, those that are trained on; 0: all"));
    Lora::fields(self.lora, visit);
    Training::fields(self, visit);
    visit("schedule", *self.schedule, Help("of the learning rate", schedules));
    visit("max_tokens", self.max_tokens, Help("tokens an example").from(2, 1e6));
  }
};

}  // namespace cmc::stages::sections
