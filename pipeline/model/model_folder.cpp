// Models on disk as their training writes them and goes on from them.
#include "pipeline/checkpoint/tensor_file.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

// The config.json of the folder that the model was read from, true of what is saved.
Json saved_config(const checkpoint::ModelConfig& config, torch::Dtype dtype) {
  Json json = config.source;
  expect(json.is_object(), "a model is saved with the config.json it was made from");
  json["architectures"] = {config.architecture};
  json["model_type"] = config.model_type;
  json["tie_word_embeddings"] = config.tied_output;
  json.erase("torch_dtype");
  json["dtype"] = dtype == torch::kBFloat16 ? "bfloat16" : dtype == torch::kFloat16 ? "float16" : "float32";
  return json;
}

std::vector<torch::Tensor> tensors_of(const NamedTensors& named) {
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  return tensors;
}

}  // namespace

std::string DecoderModel::weights_file() const {
  return weights_->lora ? peft_weights_file : "model.safetensors";
}

TrainedParts DecoderModel::trained_parts() const {
  if (is_split() && !weights_->lora && !config_.names.head_of_norm.empty())
    throw Refused({config_.architecture + " over several ranks",
                   "has norms of heads, each a tensor of its own, which are not trained in parts",
                   "train LoRA adapters, or set tensor_parallel = 1"});
  return {weights_->lora ? weights_->adapter_plans : weights_->plans, group_, device()};
}

SavedModel DecoderModel::saved() const {
  SavedModel saved{"config.json", "", weights_file(), trained_parts().as_stored(tensors_of(trainable()))};
  if (weights_->lora) {
    saved.config_file = peft_config_file;
    saved.config = peft_config(*weights_).dump(2) + "\n";
    return saved;
  }
  saved.config = saved_config(config_, dtype()).dump(2) + "\n";
  if (weights_->buffers.empty()) return saved;
  std::vector<TensorPlan> plans;
  std::vector<torch::Tensor> buffers;
  for (const auto& [plan, tensor] : weights_->buffers) plans.push_back(plan), buffers.push_back(tensor);
  for (auto& stored : TrainedParts(plans, group_, device()).as_stored(buffers))
    saved.tensors.push_back(std::move(stored));
  return saved;
}

void DecoderModel::save(const std::filesystem::path& folder) const {
  expect(!is_split(), "the ranks of a split model gather what is saved, and the first one writes it");
  saved().write(folder);
}

void DecoderModel::take_stored(const std::filesystem::path& path, const std::string& prefix,
                               const std::vector<torch::Tensor>& values) const {
  const torch::NoGradGuard no_gradients;
  const checkpoint::TensorFile file(path);
  const std::vector<TensorPlan>& plans = weights_->lora ? weights_->adapter_plans : weights_->plans;
  expect(values.size() == plans.size(), "there is a value for each tensor that is trained");
  for (size_t i = 0; i < plans.size(); ++i) {
    const TensorPlan& plan = plans[i];
    const std::string name = prefix + plan.name;
    const torch::Tensor stored = file.view(name);
    const std::vector<int64_t> shape = stored_shape(plan, values[i].dim());
    if (stored.sizes() != shape || !stored.is_floating_point())
      throw BadData({path.string() + ": " + name, "has another shape or type than the model asks for",
                     "the weights belong to another model"});
    torch::Tensor value = values[i];
    copy_slices(stored_matrix(stored, plan), plan.rows, plan.columns, value);
  }
}

void DecoderModel::restore(const std::filesystem::path& folder) {
  take_stored(folder / weights_file(), "", tensors_of(trainable()));
}

}  // namespace cmc::model
