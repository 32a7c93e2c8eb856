#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/method.hpp"
#include "pipeline/records/model_reference.hpp"
#include "pipeline/records/prompt.hpp"

// Parameters of the tasks that train a model. `seed`: of the experiment, where the result depends on it.
namespace cmc::records {

// A file by its content; stages find it again by Workbench::file.
struct FileReference {
  std::string file, sha256;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("file", self.file);
    visit("sha256", self.sha256);
  }
};

// The tokenizer files of a model that is made here, by their content.
struct TokenizerReference {
  std::string name, sha256;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("sha256", self.sha256);
  }
};

// The TOFU files that are forgotten and retained, and how a question is asked.
struct TofuSplit {
  std::string forget, retain;
  int64_t retain_items = 0;  // 0: all
  TofuPrompt prompt;
  std::vector<FileReference> files;  // forget, retain
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("forget", self.forget);
    visit("retain", self.retain);
    visit("retain_items", self.retain_items);
    visit("prompt", self.prompt);
    visit("files", self.files);
  }
};

// The first `items` instruction pairs of a file.
struct InstructionPairs {
  int64_t items = 0;  // how many there are
  FileReference file;
  Prompt prompt;
  bool answers_of_others = false;  // a control: each question stands before the answer to another one
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items);
    visit("file", self.file);
    visit("prompt", self.prompt);
    visit("answers_of_others", self.answers_of_others, Presence::optional);
  }
};

// What a model is trained on: one of the two.
struct TrainingData {
  std::optional<TofuSplit> tofu;
  std::optional<InstructionPairs> instructions;

  Json to_json() const { return tofu ? records::to_json(*tofu) : records::to_json(*instructions); }
  static TrainingData from_json(const Json& json, const std::string& where) {
    if (json.contains("forget")) return {records::from_json<TofuSplit>(json, where), std::nullopt};
    return {std::nullopt, records::from_json<InstructionPairs>(json, where)};
  }
};

struct LoraParameters {
  int64_t rank = 0;
  double alpha = 0, dropout = 0;
  std::vector<std::string> modules;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rank", self.rank);
    visit("alpha", self.alpha);
    visit("dropout", self.dropout);
    visit("modules", self.modules);
  }
};

// A section's training keys; those that its section does not have are unset.
struct TrainingParameters {
  int64_t epochs = 1;
  double learning_rate = 0;
  int64_t batch = 1, accumulation = 1;
  double weight_decay = 0;
  int64_t max_tokens = 0, shares = 1, seed = 0;
  std::optional<std::string> schedule, loss;
  std::optional<double> warmup, beta, forget_bound;
  std::optional<double> beta2, forget_weight, margin;  // unset: the usual (train::ForgetSettings)
  std::optional<int64_t> warmup_steps, skipped_labels;
  std::optional<int64_t> held_out_items, evaluation_steps;  // unset: all is trained on
  std::optional<std::string> keep;                          // unset: the last weights
  std::optional<LoraParameters> lora;                       // adapters beside the frozen model; unset: all of it
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("epochs", self.epochs);
    visit("learning_rate", self.learning_rate);
    visit("batch", self.batch);
    visit("accumulation", self.accumulation);
    visit("weight_decay", self.weight_decay);
    visit("max_tokens", self.max_tokens);
    visit("shares", self.shares);
    visit("seed", self.seed);
    visit("schedule", self.schedule);
    visit("loss", self.loss);
    visit("warmup", self.warmup);
    visit("beta", self.beta);
    visit("forget_bound", self.forget_bound);
    visit("beta2", self.beta2);
    visit("forget_weight", self.forget_weight);
    visit("margin", self.margin);
    visit("skipped_labels", self.skipped_labels);
    visit("warmup_steps", self.warmup_steps);
    visit("held_out_items", self.held_out_items);
    visit("evaluation_steps", self.evaluation_steps);
    visit("keep", self.keep);
    visit("lora", self.lora);
  }
};

// Stage pretrain: a small model or delta on the generated texts.
struct PretrainParameters {
  std::string target;
  SmallLlama config;
  TokenizerReference tokenizer;
  FileReference data;
  int64_t steps = 0, batch = 0, window = 0;
  double learning_rate = 0, warmup = 0, floor = 0, beta2 = 0, weight_decay = 0;
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("target", self.target);
    visit("config", self.config);
    visit("tokenizer", self.tokenizer);
    visit("data", self.data);
    visit("steps", self.steps);
    visit("batch", self.batch);
    visit("window", self.window);
    visit("learning_rate", self.learning_rate);
    visit("warmup", self.warmup);
    visit("floor", self.floor);
    visit("beta2", self.beta2);
    visit("weight_decay", self.weight_decay);
    visit("seed", self.seed);
  }
};

// all: of TOFU; retain: the retained examples alone, for the model that forget quality compares with.
enum class Part { all, retain };
template <>
struct EnumNames<Part> {
  static constexpr NamedEnum names{"part", std::to_array<Named<Part>>({{Part::all, "all"}, {Part::retain, "retain"}})};
};

// Stage prepare: fine-tuning on what will be unlearned.
struct PrepareParameters {
  std::string target;
  Part part = Part::all;
  ModelReference model;
  TofuSplit data;
  TrainingParameters training;
  std::optional<FileReference> general;  // instruction pairs mixed in
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("target", self.target);
    visit("part", self.part);
    visit("model", self.model);
    visit("data", self.data);
    visit("training", self.training);
    visit("general", self.general);
    visit("seed", self.seed);
  }
};

// Stage train: the small model that is added to targets.
struct TrainParameters {
  Purpose kind = Purpose::instruct;
  Role role = Role::delta;
  std::string trained;  // the delta's name; `delta` has that of its start
  ModelReference template_model, delta;
  TrainingParameters training;
  TrainingData data;
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("role", self.role);
    visit("trained", self.trained);
    visit("template", self.template_model);
    visit("delta", self.delta);
    visit("training", self.training);
    visit("data", self.data);
    visit("seed", self.seed);
  }
};

// What a target itself is fine-tuned for; other: the different data of the similarity experiment.
enum class AdaptPurpose { instruct, unlearn, other };
template <>
struct EnumNames<AdaptPurpose> {
  static constexpr NamedEnum names{"purpose", std::to_array<Named<AdaptPurpose>>({{AdaptPurpose::instruct, "instruct"},
                                                                                  {AdaptPurpose::unlearn, "unlearn"},
                                                                                  {AdaptPurpose::other, "other"}})};
};

// Stage adapt: fine-tuning of a target.
struct AdaptParameters {
  std::string target;
  Method method = Method::lora;
  AdaptPurpose purpose = AdaptPurpose::instruct;
  ModelReference model;
  TrainingParameters training;
  TrainingData data;
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("target", self.target);
    visit("method", self.method);
    visit("purpose", self.purpose);
    visit("model", self.model);
    visit("training", self.training);
    visit("data", self.data);
    visit("seed", self.seed);
  }
};

}  // namespace cmc::records
