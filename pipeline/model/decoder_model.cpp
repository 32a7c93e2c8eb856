#include "pipeline/model/decoder_model.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
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

DecoderModel DecoderModel::with(ModelWeights weights) const {
  DecoderModel result(config_, std::make_shared<ModelWeights>(std::move(weights)));
  result.group_ = group_;
  return result;
}

KvCache DecoderModel::make_cache(int64_t slots, int64_t capacity) const {
  return KvCache(weights_->split.local, slots, capacity, dtype(), device());
}

const torch::Tensor& DecoderModel::output_weight() const {
  return weights_->output.weight;
}

const torch::Tensor& DecoderModel::output_bias() const {
  return weights_->output.bias;
}

std::shared_ptr<const cpu::PackedMatrix> DecoderModel::packed_output(const torch::Tensor& states) const {
  return weights_->output.packed(states);
}

std::shared_ptr<const cpu::PackedMatrix> DecoderModel::logits_matrix(const torch::Tensor& states) const {
  const bool more = is_split() || config_.final_softcap > 0.0 || output_bias().defined() ||
                    !weights_->output.adapters.empty() || states.dim() != 2;
  return more ? nullptr : packed_output(states);
}

const std::vector<std::pair<std::string, torch::Tensor>>& DecoderModel::parameters() const {
  return weights_->named;
}

const std::vector<std::pair<std::string, torch::Tensor>>& DecoderModel::trainable() const {
  return weights_->lora ? weights_->named_adapters : weights_->named;
}

void DecoderModel::require_gradients(bool on) {
  for (const auto& [name, tensor] : trainable()) torch::Tensor(tensor).set_requires_grad(on);
  if (weights_->lora) return;  // the weights stay as they are packed
  for (Linear* block : all_linear_blocks(*weights_)) block->unpack();
}

DecoderModel DecoderModel::with_adapters(const LoraSettings& settings, uint64_t seed) const {
  return with(with_new_adapters(*weights_, settings, seed));
}

DecoderModel DecoderModel::with_adapters(const std::filesystem::path& folder) const {
  return with(with_saved_adapters(*weights_, folder));
}

const LoraSettings* DecoderModel::adapters() const {
  return weights_->lora ? &*weights_->lora : nullptr;
}

DecoderModel DecoderModel::merged() const {
  ModelWeights weights = with_adapters_of(copy_weights(config_, *weights_), *weights_);
  merge_adapters(weights);
  return with(std::move(weights));
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
  return with(weights_->lora ? with_adapters_of(*weights_, *weights_) : copy_weights(config_, *weights_));
}

int64_t DecoderModel::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : weights_->named) count += tensor.numel();
  return count;
}

}  // namespace cmc::model
