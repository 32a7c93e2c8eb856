#include "pipeline/model/decoder_model.hpp"

#include <algorithm>
#include <set>
#include <thread>

#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/make_weights.hpp"
#include "pipeline/model/pass_tables.hpp"
#include "pipeline/model/round_weights.hpp"
#include "pipeline/model/weight_upload.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

std::string shape_text(torch::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// Tensors a folder may hold beside the model's own: an output that is tied, and tables that old versions saved.
// Other ranks read what belongs to their heads alone.
bool may_be_left(const std::string& name, const checkpoint::ModelConfig& config, TensorRank tensor_rank) {
  const std::string& of_head = config.names.head_of_norm;
  if (tensor_rank.size > 1 && !of_head.empty() && name.find(of_head) != std::string::npos) return true;
  if (name == config.names.output + ".weight") return config.tied_output;
  for (const char* part : {"vision_tower.", "multi_modal_projector."}) {
    if (name.find(part) != std::string::npos) return true;
  }
  for (const char* table : {"rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias",
                            "attention.masked_bias", "attn.attention.bias", "attn.attention.masked_bias"}) {
    if (name.ends_with(table)) return true;
  }
  return false;
}

// What a tensor is called in the files. A checkpoint of the bare model, without its output layer, leaves out what the
// other's names begin with.
std::string name_in(const checkpoint::WeightFiles& files, const checkpoint::ModelConfig& config,
                    const std::string& name) {
  const std::string& base = config.names.base;
  if (files.contains(name) || base.empty() || !name.starts_with(base)) return name;
  const std::string bare = name.substr(base.size());
  // As the text part of a model that reads images: transformers 5's way, and the one before.
  for (const std::string& stored : {bare, base + "language_model." + bare, "language_model." + name})
    if (files.contains(stored)) return stored;
  // Of two tied matrices one is enough, whichever it is.
  const std::string output = config.names.output + ".weight";
  const bool is_tied = config.tied_output && name == config.names.embedding + ".weight";
  return is_tied && files.contains(output) ? output : name;
}

// transformers loads such a folder, and warns.
void warn_of_unused(const std::vector<std::string>& unused, const std::string& where) {
  if (unused.empty()) return;
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(unused.size(), 3); ++i) names += (i > 0 ? ", " : "") + unused[i];
  log_warning_once(where, ": ", unused.size(),
                   " tensors are no part of the model as config.json describes it and are left aside, ",
                   "as transformers does: ", names, unused.size() > 3 ? ", …" : "");
}

// transformers ties an output to the embedding only where no other one is stored.
void untie_what_differs(const checkpoint::WeightFiles& files, checkpoint::ModelConfig& config,
                        const std::string& where) {
  const std::string output = config.names.output + ".weight",
                    embedding = name_in(files, config, config.names.embedding + ".weight");
  if (!config.tied_output || !files.contains(output) || !files.contains(embedding)) return;
  const torch::Tensor a = files.view(output), b = files.view(embedding);
  if (a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && torch::equal(a, b)) return;
  config.tied_output = false;
  log_warning_once(where, ": tie_word_embeddings is set, but ", output,
                   " is another matrix than the embedding: it is kept, ", "as transformers does");
}

constexpr int64_t loading_buffer = int64_t{32} << 20;
int loading_threads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 8u));
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

DecoderModel DecoderModel::load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                                TensorRank tensor_rank) {
  checkpoint::ModelConfig config = checkpoint::read_model_config(folder);
  const checkpoint::WeightFiles files(folder);
  untie_what_differs(files, config, folder.string());
  std::set<std::string> used;
  std::optional<WeightUpload> upload;
  if (!device.is_cpu()) upload.emplace(device, loading_threads(), loading_buffer);
  const FillTensor fill = [&](const TensorPlan& plan, torch::Tensor& target) {
    const std::string name = name_in(files, config, plan.name);
    const torch::Tensor stored = files.view(name);
    const std::vector<int64_t> shape = stored_shape(plan, target.dim());
    if (stored.sizes() != shape) {
      throw BadData({folder.string() + ": " + name,
                     "has shape " + shape_text(stored.sizes()) + ", config.json says " + shape_text(shape),
                     "the weights belong to another configuration"});
    }
    if (!stored.is_floating_point()) {
      throw BadData({folder.string() + ": " + name, "holds no floating-point numbers", "save the model de-quantised"});
    }
    const torch::Tensor matrix = stored_matrix(stored, plan);
    if (upload && target.dim() == 2)
      upload->add(matrix, plan.rows, plan.columns, target);
    else
      copy_slices(matrix, plan.rows, plan.columns, target);
    used.insert(name);
  };
  auto weights = std::make_shared<ModelWeights>(make_weights(config, tensor_rank, dtype, device, fill));
  if (upload) upload->finish();
  std::vector<std::string> unused;
  for (const std::string& name : files.names())
    if (used.count(name) == 0 && !may_be_left(name, config, tensor_rank)) unused.push_back(name);
  warn_of_unused(unused, folder.string());
  return DecoderModel(config, std::move(weights));
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

DecoderModel DecoderModel::load_merged(const std::filesystem::path& folder, const std::filesystem::path& adapters,
                                       torch::Dtype dtype, torch::Device device) {
  const DecoderModel model = load(folder, dtype, device).with_adapters(adapters);
  merge_adapters(*model.weights_);
  return model;
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
