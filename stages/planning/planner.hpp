#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/distributed/plan.hpp"
#include "pipeline/records/training_parameters.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/experiment/experiment.hpp"
#include "stages/planning/absent_inputs.hpp"
#include "stages/planning/device_use.hpp"
#include "stages/planning/prompts.hpp"
#include "stages/planning/task_seeds.hpp"

namespace cmc::stages {

struct Stage;

// Where the contents that tasks name were found: SHA-256 or content identity → path. Known to a run, not part of a
// task.
using Places = std::map<std::string, std::string>;

// What stages plan with: the experiment, what its files are (by content), and the tasks so far. Reads configurations
// and tokenizers, never weights beyond their hash.
class Planner {
 public:
  Planner(const Experiment& experiment, Absent absent) : experiment_(experiment), absent_(absent) {}

  const Experiment& experiment() const { return experiment_; }
  const AbsentInputs& absent() const { return absent_; }

  // The stage whose tasks are added from here on.
  void begin(const Stage& stage) { stage_ = &stage; }

  // A folder of the experiment, or a model that is pre-trained.
  records::ModelReference model(const std::string& name);
  // What the task remembered for (purpose, name) made of `base`.
  records::ModelReference fine_tuned(const std::string& purpose, const std::string& name,
                                     const records::ModelReference& base, bool lora) const;
  // `name` as unlearning evaluates it: prepared by a task where the experiment prepares, else as it is.
  records::ModelReference prepared(const std::string& name);
  // What a delta beside `template_name` starts from (by Experiment::start_of): the folder delta.<name>.path, one that
  // is pre-trained, or random weights.
  records::ModelReference delta(const std::string& name, const std::string& template_name);
  // The tokenizer of a model that is pre-trained: the files in model.<name>.tokenizer.
  records::TokenizerReference tokenizer_files(const std::string& name);
  // Stages find it again by Workbench::file.
  records::FileReference file(const std::filesystem::path& path);

  // Whether the folder of model.<name>, or its tokenizer's, has a chat template; assumed where it is not there.
  bool has_chat_template(const std::string& name);
  // How model.<name> is asked by a setting of the experiment; `questions`: those that are known to be asked. Throws
  // BadData where it is asked by its chat template and that cannot be used (text::chat_prompt).
  records::Prompt prompt(const sections::Prompt& setting, const std::string& model_name,
                         const std::vector<std::string>& questions = {});

  const checkpoint::ModelConfig& config(const std::string& model_name);
  const text::Tokenizer& tokenizer(const std::string& model_name);
  int32_t vocabulary_size(const std::string& model_name);  // of its tokenizer; of its config where that is not there
  // How ranks hold model.<name> together: its tensor_parallel, and so many blocks of them. Throws BadExperiment when
  // its heads or layers cannot be dealt out so.
  struct Split {
    int tensor_parallel = 1, pipeline_parallel = 1;
    int ranks() const { return tensor_parallel * pipeline_parallel; }
  };
  Split split(const std::string& model_name);
  // `task` is done by the ranks that hold model.<name> together.
  void hold_together(distributed::Task& task, const std::string& model_name);
  // Of a training of (or beside) model.<name>: how many ranks can work on its shares together, or which hold the model.
  void deal_shares(distributed::Task& task, int64_t shares, const std::string& model_name);
  // Throws BadExperiment naming `key` where model.<name> has none of the linear layers `modules`.
  void expect_linear_layers(const std::string& key, const std::vector<std::string>& modules,
                            const std::string& model_name);
  // Makes `reference`, a model of model.<name>'s sizes, what `task` needs loaded, split over the ranks of its
  // tensor-parallel group.
  void keeps(distributed::Task& task, const records::ModelReference& reference, const std::string& model_name);
  // Adds what `task` takes of a device for model.<name> to its bytes. A model that several ranks hold is split over
  // those of the task, any other is whole on each.
  void takes(distributed::Task& task, const std::string& model_name, const DeviceBytes& bytes,
             Held held = Held::evaluated);
  // Whether both have one vocabulary, compared token by token: a delta of one then fits the other without a map. Where
  // one is not there: whether both are of one type and size.
  bool share_vocabulary(const std::string& model_name, const std::string& other_model_name);

  // Makes `reference`, where a task makes it, an input of `task`.
  static void needs(distributed::Task& task, const records::ModelReference& reference);
  // Adds a task of the stage that plans; returns its key. `parameters`: of a records struct. Fills the experiment's
  // seed in, where the result depends on it, and the task's own.
  template <class Parameters>
  std::string add(distributed::Task task, const Parameters& parameters) {
    task.parameters = records::to_json(parameters);
    return add_filled(std::move(task));
  }
  // A task that other stages look up by what it is for, e.g. ("map", "gemma"); empty: none planned.
  void remember(const std::string& purpose, const std::string& name, const std::string& key);
  std::string find(const std::string& purpose, const std::string& name) const;

  // Whether it, or a task that it needs, rests on what was assumed: its key changes once that is there.
  bool is_provisional(const std::string& key) const { return provisional_.contains(key); }
  const std::vector<distributed::Task>& tasks() const { return plan_.tasks; }  // so far
  distributed::Plan take() { return std::move(plan_); }
  const Places& places() const { return places_; }
  const DeviceUse& devices() const { return devices_; }

 private:
  bool is_absent(const std::string& model_name);
  records::ModelReference folder(const std::string& name, const std::filesystem::path& path,
                                 const std::string& identity);
  std::string add_filled(distributed::Task task);
  const text::Tokenizer& load(const std::string& model_name);

  const Experiment& experiment_;
  AbsentInputs absent_;
  const Stage* stage_ = nullptr;
  distributed::Plan plan_;
  std::set<std::string> provisional_;  // keys
  TaskSeeds seeds_;
  Places places_;
  std::map<std::string, records::ModelReference> models_;
  std::map<std::string, records::FileReference> files_;
  std::map<std::pair<std::string, size_t>, records::Prompt> chats_;  // by model and number of questions
  std::map<std::string, checkpoint::ModelConfig> configs_;
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers_;
  std::map<std::pair<std::string, std::string>, bool> shares_;
  std::vector<HeldModel> held_;  // by the task that is added next
  DeviceUse devices_;
  std::map<std::pair<std::string, std::string>, std::string> remembered_;
};

}  // namespace cmc::stages
