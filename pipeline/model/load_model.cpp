// Loading of a Hugging Face folder.
#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>

#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/make_weights.hpp"
#include "pipeline/model/pass_tables.hpp"
#include "pipeline/model/tensor_plan.hpp"
#include "pipeline/model/weight_upload.hpp"

namespace cmc::model {

namespace {

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

// Of long loads: people wait for them.
void tell(const std::filesystem::path& folder, int64_t bytes, int64_t all, double seconds) {
  const auto gibibytes = [](int64_t number) { return static_cast<double>(number) / 0x1p30; };
  const double rate = gibibytes(bytes) / seconds;
  char text[96];
  std::snprintf(text, sizeof text, "%.1f of %.1f GiB, %.2f GiB/s", gibibytes(bytes), gibibytes(all), rate);
  std::string left;
  if (rate > 0) left = joined(", ", static_cast<int64_t>(gibibytes(all - bytes) / rate + 0.5), " s left");
  log_info("loading ", folder.string(), ": ", text, left);
}

}  // namespace

DecoderModel DecoderModel::load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                                TensorRank tensor_rank) {
  checkpoint::ModelConfig config = checkpoint::read_model_config(folder);
  const checkpoint::WeightFiles files(folder);
  untie_what_differs(files, config, folder.string());
  std::set<std::string> used;
  WeightUpload upload(device, loading_threads(), loading_buffer);
  const FillTensor fill = [&](const TensorPlan& plan, torch::Tensor& target) {
    const std::string name = name_in(files, config, plan.name);
    const torch::Tensor stored = files.view(name);
    const std::vector<int64_t> shape = stored_shape(plan, target.dim());
    if (stored.sizes() != shape) {
      throw BadData({folder.string() + ": " + name,
                     joined("has shape ", stored.sizes(), ", config.json says ", torch::IntArrayRef(shape)),
                     "the weights belong to another configuration"});
    }
    if (!stored.is_floating_point()) {
      throw BadData({folder.string() + ": " + name, "holds no floating-point numbers", "save the model de-quantised"});
    }
    const torch::Tensor matrix = stored_matrix(stored, plan);
    if (target.dim() == 2)
      upload.add(matrix, plan.rows, plan.columns, target);
    else
      copy_slices(matrix, plan.rows, plan.columns, target);
    used.insert(name);
  };
  auto weights = std::make_shared<ModelWeights>(make_weights(config, tensor_rank, dtype, device, fill));
  upload.finish([&](int64_t bytes, int64_t all, double seconds) { tell(folder, bytes, all, seconds); });
  std::vector<std::string> unused;
  for (const std::string& name : files.names())
    if (used.count(name) == 0 && !may_be_left(name, config, tensor_rank)) unused.push_back(name);
  warn_of_unused(unused, folder.string());
  return DecoderModel(config, std::move(weights));
}

DecoderModel DecoderModel::load_merged(const std::filesystem::path& folder, const std::filesystem::path& adapters,
                                       torch::Dtype dtype, torch::Device device) {
  const DecoderModel model = load(folder, dtype, device).with_adapters(adapters);
  merge_adapters(*model.weights_);
  return model;
}

}  // namespace cmc::model
