#pragma once
#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "pipeline/core/json.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/store/unit_store.hpp"
#include "pipeline/train/hidden_store.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

struct Compute {
  torch::Device device = torch::kCPU;
  torch::Dtype dtype = torch::kFloat32;  // of frozen models; trained ones are float32
};

// compute.device and compute.dtype of the experiment on this rank. Throws BadExperiment when CUDA is asked for and absent.
Compute compute_named(const std::string& device, const std::string& dtype, int rank_on_node);
Compute compute_of(const Experiment& experiment, int rank_on_node);

// What a rank works with: loads models, tokenizers and maps by their references in task parameters, and keeps what the
// current residency (target model) needs.
class Workbench {
 public:
  Workbench(const Experiment& experiment, std::filesystem::path output, Compute compute, std::function<bool()> stop);

  const Experiment& experiment() const { return experiment_; }
  const Compute& compute() const { return compute_; }
  const store::UnitStore& units() const { return units_; }
  const std::function<bool()>& stop() const { return stop_; }

  // Drops what another residency left behind.
  void enter(const std::string& residency);

  // `reference`: {"name", "identity"} or {"name", "task"} (see Planner). Weights in compute().dtype.
  std::shared_ptr<const model::DecoderModel> model(const Json& reference);
  std::shared_ptr<const text::Tokenizer> tokenizer(const Json& reference);
  std::filesystem::path folder(const Json& reference) const;
  std::filesystem::path delta_folder(const Json& reference) const;  // {"name", "identity"} of delta.<name>.path
  // The unit of a token_map task; null for an empty key (same vocabulary).
  std::shared_ptr<const token_map::TokenMap> token_map(const std::string& key);
  // The template's kept states, shared by all trainings beside it.
  std::shared_ptr<train::HiddenStore> hidden_states(const Json& template_reference);

  std::filesystem::path trained_folder(const std::string& key) const { return output_ / "checkpoints" / key; }
  // Where a training that is not finished keeps its checkpoints.
  std::filesystem::path training_folder(const std::string& key) const { return output_ / "checkpoints" / ("." + key); }

  uint64_t seed(const std::string& key) const;  // of a task: from experiment seed and key

 private:
  const Experiment& experiment_;
  std::filesystem::path output_;
  Compute compute_;
  store::UnitStore units_;
  std::function<bool()> stop_;
  std::string residency_;
  std::map<std::string, std::shared_ptr<const model::DecoderModel>> models_;
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers_;
  std::map<std::string, std::shared_ptr<const token_map::TokenMap>> maps_;
  std::map<std::string, std::shared_ptr<train::HiddenStore>> hidden_;
};

}  // namespace cmc::stages
