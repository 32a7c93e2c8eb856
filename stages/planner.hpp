#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/distributed/plan.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// Where the contents that tasks name were found: SHA-256 or content identity → path. Known to a run, not part of a task.
using Places = std::map<std::string, std::string>;

// What stages plan with: the experiment, what its files are (by content), and the tasks so far. Reads configurations and
// tokenizers, never weights beyond their hash.
class Planner {
 public:
  explicit Planner(const Experiment& experiment) : experiment_(experiment) {}

  const Experiment& experiment() const { return experiment_; }

  // A model as task parameters name it: {"name", "identity"} for a folder of the experiment, made_by for one that is
  // pre-trained. The identity is the content, so the same model elsewhere gives the same key.
  Json model(const std::string& name);
  // A model that a task makes: {"name", "task"}.
  static Json made_by(const std::string& name, const std::string& key) { return {{"name", name}, {"task", key}}; }
  // LoRA adapters that a task makes of `base`: {"name", "task", "base"}.
  static Json adapted_by(const std::string& name, const std::string& key, const Json& base);
  // What the task remembered for (purpose, name) made of `base`.
  Json fine_tuned(const std::string& purpose, const std::string& name, const Json& base, bool lora) const;
  // `name` as unlearning evaluates it: prepared by a task where the experiment prepares, else as it is.
  Json prepared(const std::string& name);
  // What a delta beside `template_name` starts from (by Experiment::start_of): {"name", "identity"} of delta.<name>.path, made_by for one that is
  // pre-trained, or {"name", "config"} for a random one.
  Json delta(const std::string& name, const std::string& template_name);
  // The tokenizer of a model that is pre-trained: {"name", "sha256"}, of the files in model.<name>.tokenizer.
  Json tokenizer_files(const std::string& name);
  // config.json of a small Llama from the sizes in `section` ("model.small", "delta.tiny"), without a vocabulary.
  Json sizes(const std::string& section) const;
  // A data file: {"file", "sha256"}. Stages find it again by Workbench::file.
  Json file(const std::filesystem::path& path);

  const checkpoint::ModelConfig& config(const std::string& model_name);
  const text::Tokenizer& tokenizer(const std::string& model_name);
  // Whether the tokenizer adds tokens to what a model reads, as Llama's its begin token.
  bool adds_tokens(const std::string& model_name);
  // model.<name>.tensor_parallel: ranks that hold the model together. Throws BadExperiment when its heads cannot be shared out so.
  int tensor_parallel(const std::string& model_name);
  // Makes `reference`, a model of model.<name>'s sizes, what `task` needs loaded, split over the ranks of its tensor-parallel group.
  void keeps(distributed::Task& task, const Json& reference, const std::string& model_name);
  // Whether both have one vocabulary, compared token by token: a delta of one then fits the other without a map.
  bool share_vocabulary(const std::string& model_name, const std::string& other_model_name);

  // Makes `reference`, where a task makes it, an input of `task`.
  static void needs(distributed::Task& task, const Json& reference);
  // Adds a task whose key follows from stage, parameters and inputs; returns the key.
  std::string add(distributed::Task task);
  // A task that other stages look up by what it is for, e.g. ("map", "gemma"); empty: none planned.
  void remember(const std::string& purpose, const std::string& name, const std::string& key);
  std::string find(const std::string& purpose, const std::string& name) const;

  const std::vector<distributed::Task>& tasks() const { return plan_.tasks; }  // so far
  distributed::Plan take() { return std::move(plan_); }
  const Places& places() const { return places_; }

 private:
  Json folder(const std::string& name, const std::filesystem::path& path, const std::string& identity);
  const text::Tokenizer& load(const std::string& model_name);

  const Experiment& experiment_;
  distributed::Plan plan_;
  Places places_;
  std::map<std::string, Json> models_, files_;
  std::map<std::string, checkpoint::ModelConfig> configs_;
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers_;
  std::map<std::pair<std::string, std::string>, bool> shares_;
  std::map<std::pair<std::string, std::string>, std::string> remembered_;
};

// Parameters of a decoder, from its configuration (embedding and tied output once).
double parameter_count(const checkpoint::ModelConfig& config);
// FLOP/s of a rank on processor cores, and on a GPU of its own: nominal, so that only ratios between tasks mean much until a
// finished run's measured times calibrate them.
inline constexpr double nominal_flops = 50e9, nominal_gpu_flops = 50e12;
// Whether the experiment asks for CUDA (compute.device), or would find it here.
bool plans_for_gpus(const Experiment& experiment);
// Seconds to move `tokens` through a model once on processor cores (2 FLOP a parameter and token); Planner::add turns them into a
// GPU's where the experiment runs on these.
double forward_seconds(double parameters, double tokens);

}  // namespace cmc::stages
