#pragma once
#include <torch/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/records/training_parameters.hpp"
#include "pipeline/store/unit_store.hpp"
#include "pipeline/train/hidden_store.hpp"
#include "stages/experiment/experiment.hpp"
#include "stages/workbench/memory_retry.hpp"
#include "stages/workbench/task_progress.hpp"

namespace cmc::stages {

struct Compute {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;  // of frozen models; trained ones are float32
  bool deterministic = false;            // training gives the same bits each time
};

// compute.device and compute.dtype of the experiment on this rank. Throws BadExperiment when CUDA is asked for and
// absent.
Compute compute_named(const std::string& device, const std::string& dtype, int rank_on_node);
std::string name_of(const Compute& compute);  // as Task::compute
Compute compute_of(const Experiment& experiment, int rank_on_node);
// Bytes of the device of each rank: compute.device_memory, or what a CUDA device here has; 0: not known.
int64_t device_bytes_of(const Experiment& experiment);

// What a rank works with: loads models, tokenizers and maps by their references in task parameters, and keeps what the
// current residency (target model) needs.
class Workbench {
 public:
  // `places`: where the planned contents are (Planner::places). `stop`: whether to end soon; `take_cores`: gives this
  // thread the cores that it may use now. Both are called between steps of what takes long.
  Workbench(const Experiment& experiment, std::map<std::string, std::string> places, std::filesystem::path output,
            Compute compute, std::function<bool()> stop, std::function<void()> take_cores);

  const Experiment& experiment() const { return experiment_; }
  const Compute& compute() const { return compute_; }
  const store::UnitStore& units() const { return units_; }
  const std::function<bool()>& stop() const { return stop_; }
  // Where results are the same bits on any number of threads, as far as the models here decide it.
  void take_cores() const;
  // What a long task that runs models calls between its steps: takes cores, and logs as log_progress does.
  TaskProgress progress(const std::string& name) const;

  // Drops what another residency left behind, or another group of ranks that held it together. False: it was here
  // already.
  // `together`: how many of these ranks hold a model; others do the same with other shares of a training. `blocks`: of
  // them, that hold its layers one after the other.
  bool enter(const std::string& residency, const distributed::Communicator& tensor_group, int together = 1,
             int blocks = 1);
  // The ranks that hold the residency's model together (tensor parallel); one rank: this one does alone.
  Attempts& tensor_group() { return tensor_group_; }
  // Of those the ones that hold a model with this rank, and those that hold the same part of it elsewhere. Collective
  // over all of them when they are made.
  const distributed::Communicator& model_ranks();
  const distributed::Communicator& data_ranks();
  // Runs split models over the present tensor-parallel group, where that has become another one since they were.
  void regroup_split_models();

  // LoRA adapters are merged into their base. On compute().device.
  model::DecoderModel load(const records::ModelReference& reference, torch::Dtype dtype,
                           model::TensorRank tensor_rank = {}) const;
  // The part that this rank holds of it, run over the tensor-parallel group. Collective.
  model::DecoderModel load_split(const records::ModelReference& reference, torch::Dtype dtype);
  // The same in compute().dtype, kept; `bits`: rounded to integers of so many (DecoderModel::rounded), 0: as it is.
  std::shared_ptr<const model::DecoderModel> model(const records::ModelReference& reference, int bits = 0);
  // The same for a model that the tensor-parallel group holds together: split over it, where it is more than this rank.
  std::shared_ptr<const model::DecoderModel> target(const records::ModelReference& reference, int bits = 0);
  std::shared_ptr<const text::Tokenizer> tokenizer(const records::ModelReference& reference);
  // A model's folder, or a delta's. Throws BadData where it has changed since the plan was made.
  std::filesystem::path folder(const records::ModelReference& reference) const;
  // A data file. The reader's content hash tells whether it has changed: expect_planned.
  std::filesystem::path file(const records::FileReference& reference) const { return place(reference.sha256); }
  // The folder of a tokenizer that a model made here gets.
  std::filesystem::path folder(const records::TokenizerReference& reference) const { return place(reference.sha256); }
  // The unit of a token_map task; null for an empty key (same vocabulary).
  std::shared_ptr<const token_map::TokenMap> token_map(const std::string& key);
  // The kept states of a frozen model, which is the reference's, shared by all trainings beside it.
  std::shared_ptr<train::HiddenStore> hidden_states(const records::ModelReference& reference,
                                                    std::shared_ptr<const model::DecoderModel> model);

  std::filesystem::path trained_folder(const std::string& key) const { return output_ / "checkpoints" / key; }
  // Where a training that is not finished keeps its checkpoints.
  std::filesystem::path training_folder(const std::string& key) const { return output_ / "checkpoints" / ("." + key); }

  // Rows decoded together: compute.batch, or less where memory ran out in this residency. Results do not depend on it.
  int64_t batch() const { return batch_; }
  // After memory ran out: halves the batch, and what else takes memory in this residency (halvings). False: there is
  // nothing left to halve.
  bool spare_memory();
  int halvings() const { return halvings_; }

  // Tokens of a pass over frozen examples: each alone (0) where the same bits are asked for, else as is fast.
  std::optional<int64_t> frozen_pass_tokens() const;

 private:
  const std::string& place(const std::string& content) const;
  void deal_ranks();

  const Experiment& experiment_;
  std::map<std::string, std::string> places_;
  std::filesystem::path output_;
  Compute compute_;
  store::UnitStore units_;
  std::function<bool()> stop_;
  std::function<void()> take_cores_;
  mutable bool one_order_;  // of all models that were loaded for this residency: sums_in_one_order
  std::string residency_;
  int64_t batch_;
  int halvings_ = 0;
  Attempts tensor_group_{distributed::Communicator()};
  int together_ = 1, blocks_ = 1;
  distributed::Communicator model_ranks_, data_ranks_;
  const distributed::Transport* dealt_ = nullptr;    // of the group that both are of
  const distributed::Transport* grouped_ = nullptr;  // of the group that split models run over, which keep it alive
  std::map<std::string, std::shared_ptr<const model::DecoderModel>> models_;
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers_;
  std::map<std::string, std::shared_ptr<const token_map::TokenMap>> maps_;
  std::map<std::string, std::shared_ptr<train::HiddenStore>> hidden_;
};

// Throws BadData naming the file when what was read (`content_hash`) is not what the task was planned with.
void expect_planned(const std::filesystem::path& file, const std::string& content_hash,
                    const records::FileReference& reference);

}  // namespace cmc::stages
