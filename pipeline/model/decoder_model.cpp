#include "pipeline/model/decoder_model.hpp"

#include <algorithm>

#include "pipeline/checkpoint/safetensors_writer.hpp"
#include "pipeline/checkpoint/tensor_file.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/make_weights.hpp"
#include "pipeline/model/pass_tables.hpp"
#include "pipeline/model/round_weights.hpp"
#include "pipeline/model/tensor_plan.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

std::string shape_text(torch::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// Sum of twelve 16-bit uniforms (Irwin-Hall): standard normal to 6 sigma from integers alone, so that every machine
// and compiler gives the same bits, which logarithms and cosines do not.
float normal(Random& random) {
  int64_t sum = 0;
  for (int draw = 0; draw < 3; ++draw) {
    const uint64_t bits = random.next();
    for (int part = 0; part < 4; ++part) sum += static_cast<int64_t>((bits >> (16 * part)) & 0xFFFF);
  }
  return static_cast<float>(static_cast<double>(2 * sum - 12 * 65535) * 0x1.0p-17);
}

torch::Tensor random_tensor(const std::string& name, uint64_t seed, double deviation, torch::IntArrayRef shape) {
  Random random(seed_of({"weights", std::to_string(seed), name}));
  torch::Tensor tensor = torch::empty(shape, torch::kFloat32);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = normal(random) * static_cast<float>(deviation);
  return tensor;
}

std::string label_of(const TensorPlan& plan) {
  return plan.expert < 0 ? plan.name : plan.name + "." + std::to_string(plan.expert);
}

// cuBLAS may otherwise add the parts of a long product in the type of its inputs.
void sum_in_float32() {
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
}

}  // namespace

DecoderModel::DecoderModel(checkpoint::ModelConfig config, std::shared_ptr<ModelWeights> weights)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      tables_(std::make_shared<PassTables>(config_, device())) {
  if (device().is_cuda()) sum_in_float32();
}

DecoderModel DecoderModel::random(const checkpoint::ModelConfig& config, uint64_t seed, torch::Dtype dtype,
                                  torch::Device device) {
  const FillTensor fill = [&](const TensorPlan& plan, torch::Tensor& target) {
    if (plan.kind == Fill::weights && config.initializer_range == 0)
      target.zero_();  // on the device: any size at once
    else if (plan.kind == Fill::weights)
      target.copy_(random_tensor(label_of(plan), seed, config.initializer_range, target.sizes()));
    if (plan.kind == Fill::norm) target.fill_(config.norm.adds_one ? 0.0 : 1.0);
    if (plan.kind == Fill::bias || plan.kind == Fill::buffer) target.zero_();
  };
  return DecoderModel(config, std::make_shared<ModelWeights>(make_weights(config, {}, dtype, device, fill)));
}

torch::Device DecoderModel::device() const {
  return weights_->embedding.device();
}
torch::Dtype DecoderModel::dtype() const {
  return weights_->embedding.scalar_type();
}
bool DecoderModel::is_split() const {
  return weights_->split.tensor_rank.size > 1;
}

DecoderModel DecoderModel::over(const TensorGroup& group) const {
  expect(group.tensor_rank() == weights_->split.tensor_rank,
         "a part of a model runs on the rank that it was loaded for");
  DecoderModel result = *this;
  result.group_ = group;
  return result;
}

KvCache DecoderModel::make_cache(int64_t slots, int64_t capacity) const {
  return KvCache(weights_->split.local, slots, capacity, dtype(), device());
}

const torch::Tensor& DecoderModel::output_weight() const {
  expect(!is_split(), "a split model has no whole output weight");
  return weights_->output.weight;
}

const torch::Tensor& DecoderModel::output_bias() const {
  expect(!is_split(), "a split model has no whole output bias");
  return weights_->output.bias;
}

std::vector<std::pair<std::string, torch::Tensor>> DecoderModel::as_stored(
    const std::vector<torch::Tensor>& values) const {
  expect(!is_split() && values.size() == trainable().size(), "values of all that a whole model trains");
  return weights_->lora ? adapters_as_stored(*weights_, values) : model::as_stored(*weights_, values);
}

const std::vector<std::pair<std::string, torch::Tensor>>& DecoderModel::parameters() const {
  return weights_->named;
}

const std::vector<std::pair<std::string, torch::Tensor>>& DecoderModel::trainable() const {
  return weights_->lora ? weights_->named_adapters : weights_->named;
}

void DecoderModel::require_gradients(bool on) {
  expect(!is_split(), "a split model is not trained");
  for (const auto& [name, tensor] : trainable()) torch::Tensor(tensor).set_requires_grad(on);
  if (weights_->lora) return;  // the weights stay as they are packed
  for (Linear* block : all_linear_blocks(*weights_)) block->unpack();
}

DecoderModel DecoderModel::with_adapters(const LoraSettings& settings, uint64_t seed) const {
  return DecoderModel(config_, std::make_shared<ModelWeights>(with_new_adapters(*weights_, settings, seed)));
}

DecoderModel DecoderModel::with_adapters(const std::filesystem::path& folder) const {
  return DecoderModel(config_, std::make_shared<ModelWeights>(with_saved_adapters(*weights_, folder)));
}

const LoraSettings* DecoderModel::adapters() const {
  return weights_->lora ? &*weights_->lora : nullptr;
}

DecoderModel DecoderModel::merged() const {
  ModelWeights weights = with_adapters_of(copy_weights(config_, *weights_), *weights_);
  merge_adapters(weights);
  return DecoderModel(config_, std::make_shared<ModelWeights>(std::move(weights)));
}

DecoderModel DecoderModel::rounded(int bits) const& {
  DecoderModel copy = *this;
  return std::move(copy).rounded(bits);  // it shares its weights, so that these are copied
}

DecoderModel DecoderModel::rounded(int bits) && {
  expect(!weights_->lora, "a plain model is rounded");
  if (weights_.use_count() > 1) weights_ = std::make_shared<ModelWeights>(copy_weights(config_, *weights_));
  round_layers(*weights_, bits, group_);
  return std::move(*this);
}

DecoderModel DecoderModel::snapshot() const {
  return DecoderModel(config_, std::make_shared<ModelWeights>(weights_->lora ? with_adapters_of(*weights_, *weights_)
                                                                             : copy_weights(config_, *weights_)));
}

int64_t DecoderModel::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : weights_->named) count += tensor.numel();
  return count;
}

std::string DecoderModel::weights_file() const {
  return weights_->lora ? "adapter_model.safetensors" : "model.safetensors";
}

void DecoderModel::restore(const std::filesystem::path& folder) {
  expect(!is_split(), "a split model is not trained");
  const torch::NoGradGuard no_gradients;
  if (weights_->lora) return restore_adapters(*weights_, folder);
  const checkpoint::TensorFile file(folder / weights_file());
  const auto check = [&](const std::string& name, const torch::Tensor& stored, torch::IntArrayRef shape) {
    if (stored.sizes() == shape) return;
    throw BadData({folder.string() + ": " + name, "has shape " + shape_text(stored.sizes()),
                   "the weights belong to another model"});
  };
  for (size_t i = 0; i < weights_->plans.size(); ++i) {
    const TensorPlan& plan = weights_->plans[i];
    torch::Tensor tensor = weights_->named[i].second;
    check(plan.name, file.view(plan.name), stored_shape(plan, tensor.dim()));
    copy_slices(stored_matrix(file.view(plan.name), plan), plan.rows, plan.columns, tensor);
  }
}

void DecoderModel::save(const std::filesystem::path& folder) const {
  expect(!is_split(), "a split model is not saved");
  if (weights_->lora) return save_adapters(*weights_, folder);
  Json config = config_.source;
  expect(config.is_object(), "a model is saved with the config.json it was made from");
  config["architectures"] = {config_.architecture};
  config["model_type"] = config_.model_type;
  config["tie_word_embeddings"] = config_.tied_output;
  config.erase("torch_dtype");
  config["dtype"] = dtype() == torch::kBFloat16 ? "bfloat16" : dtype() == torch::kFloat16 ? "float16" : "float32";
  publish_file(folder / "config.json", config.dump(2) + "\n");
  std::vector<torch::Tensor> values;
  for (const auto& [name, tensor] : weights_->named) values.push_back(tensor);
  auto stored = as_stored(values);
  for (const auto& [plan, tensor] : weights_->buffers) stored.emplace_back(plan.name, tensor);
  checkpoint::write_safetensors(folder / weights_file(), stored);
}

}  // namespace cmc::model
