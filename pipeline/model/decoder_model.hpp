#pragma once
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/model/kv_cache.hpp"
#include "pipeline/model/pass_plan.hpp"
#include "pipeline/model/saved_model.hpp"
#include "pipeline/model/tensor_group.hpp"

namespace cmc::cpu {
class PackedMatrix;
}

namespace cmc::model {

class KeptMemory;
struct LoraSettings;
struct ModelWeights;
struct PassTables;

// Tokens of many sequences, packed one after the other: no padding goes through the linear layers.
struct ModelInput {
  torch::Tensor tokens;     // [N] int64 on the host, where they are checked
  std::vector<Span> spans;  // their token counts sum to N; each slot at most once
  torch::Tensor positions;  // [N] int64 on the host; undefined: each span goes on where its slot ends
  torch::Tensor tree_mask;  // [N, past + N] bool, true = may attend; single span only; undefined: causal
  // Training, without a cache:
  std::optional<uint64_t> dropout_seed;  // of the adapters' dropout in this pass; none: nothing is dropped
  bool recompute_layers = false;         // keep each layer's input only; the backward pass runs the layer again
};

// Copies share their weights. One thread at a time: on a CPU the first pass without gradients packs the weights for its
// kernels (packed again when torch operations have changed them).
class DecoderModel {
 public:
  // Hugging Face folder. Throws MissingInput/BadData/Refused. Weights are converted to `dtype` on `device`.
  // `tensor_rank`: the part that this rank of a group holds, of which alone the weights are read; run it `over` the
  // group.
  static DecoderModel load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                           TensorRank tensor_rank = {});
  // Random initialisation N(0, config.initializer_range, default 0.02), reproducible by seed on any machine.
  static DecoderModel random(const checkpoint::ModelConfig& config, uint64_t seed, torch::Dtype dtype,
                             torch::Device device);

  // A folder's model with the adapters of a peft folder added to its weights, for evaluation. Throws as load() and
  // with_adapters() do.
  static DecoderModel load_merged(const std::filesystem::path& folder, const std::filesystem::path& adapters,
                                  torch::Dtype dtype, torch::Device device);

  // This part of a split model, its weights shared, run together with the other ranks of `group`, which sit as they
  // were loaded.
  DecoderModel over(const TensorGroup& group) const;
  const TensorGroup& group() const { return group_; }  // of one where the model is whole

  const checkpoint::ModelConfig& config() const { return config_; }  // of the whole model
  torch::Device device() const;
  torch::Dtype dtype() const;

  // States after the final norm as the output layer reads them, [N, its width] in the model's dtype. With a cache, each
  // span is appended to its slot (no gradients). Without one, spans are independent sequences and gradients flow
  // (training). Throws BadData for a token outside the vocabulary, Internal for an input that breaks its contract.
  torch::Tensor hidden(const ModelInput& input, KvCache* cache) const;

  // The same in two steps, for decoding: the host plans, then launches. Planning a pass of a split model is collective:
  // throws Internal when the ranks read different tokens, which would belong to nobody's text.
  PassPlan plan(const PassInput& input, const KvCache& cache) const;
  // States after the final norm of the rows wanted, [W, hidden]. Only launches work on tensors of fixed addresses: it
  // waits for nothing, reads no number from the device, and leaves the cache's lengths to the caller (advance()). Where
  // capturable() it may be captured in a CUDA graph, to be replayed for plans of equal shape until the cache grows;
  // shape.longest_key is then the cache's capacity.
  torch::Tensor hidden(const DevicePlan& plan, KvCache& cache) const;
  // Whether hidden(plan) does the same work for plans of equal shape: not with dynamic NTK scaling, nor where ranks
  // sum through the host.
  bool capturable() const;

  // [.., hidden] → [.., vocabulary] float32 logits (soft-capped where the config says so). `memory`: see Linear::wide.
  torch::Tensor logits(const torch::Tensor& hidden, KeptMemory* memory = nullptr) const;
  // [vocabulary, hidden]; the embedding itself where outputs are tied. Of a split model share_of() the vocabulary.
  const torch::Tensor& output_weight() const;
  const torch::Tensor& output_bias() const;  // [vocabulary], or the share; undefined: none
  // The output weight as a CPU's kernels multiply such states by it; null where they do not.
  std::shared_ptr<const cpu::PackedMatrix> packed_output(const torch::Tensor& states) const;
  // The same where logits() of such states is that product and nothing else; null where more is done.
  std::shared_ptr<const cpu::PackedMatrix> logits_matrix(const torch::Tensor& states) const;
  // A cache for this model (of a split one: for its own heads).
  KvCache make_cache(int64_t slots, int64_t capacity) const;

  // Hugging Face names, in a fixed order; a tied output appears once. The tensors are the live ones (of a split model:
  // what this rank holds); adapters are not among them.
  const std::vector<std::pair<std::string, torch::Tensor>>& parameters() const;
  int64_t parameter_count() const;

  // This model, frozen, with LoRA adapters beside its layers: new ones, or those of a peft folder (see lora.hpp for
  // what is thrown). Its weights are shared, the adapters float32.
  DecoderModel with_adapters(const LoraSettings& settings, uint64_t seed) const;
  DecoderModel with_adapters(const std::filesystem::path& folder) const;
  const LoraSettings* adapters() const;  // null: none
  // A plain model that computes the same: the adapters added to a copy of the weights.
  DecoderModel merged() const;

  // What training changes: the adapters (by peft's names) where there are any, else all parameters.
  const std::vector<std::pair<std::string, torch::Tensor>>& trainable() const;
  void require_gradients(bool on);  // of trainable()
  // How values shaped like trainable() make up the whole model's. Collective; throws Refused for a split model whose
  // weights cannot be trained in parts.
  TrainedParts trained_parts() const;
  // A copy whose blocks' linear layers hold what symmetric integers of `bits` bits can say: s · round(w / s) with
  // s = max |w| of an output's row / (2^(bits − 1) − 1), rounded to the nearest, halves to even. Embedding, output
  // layer, routers, norms and biases stay as they are, as GPTQ and bitsandbytes leave them. Parts of a split model are
  // rounded as the whole one is: collective over their group. Of a model given away that nobody shares, the weights
  // themselves are rounded, so that no second copy takes memory.
  DecoderModel rounded(int bits) const&;
  DecoderModel rounded(int bits) &&;
  // A model that keeps these values while this one is trained on; what is not trainable is shared.
  DecoderModel snapshot() const;

  // What is trainable, for a folder: config.json + model.safetensors that transformers loads (float32/bfloat16 as
  // held), or with adapters a peft folder. Collective; of a split model the first rank alone has the tensors.
  SavedModel saved() const;
  void save(const std::filesystem::path& folder) const;  // the same, of a whole model, in `folder`, which must exist
  // Puts the values of a folder that was saved back. Throws BadData when it is another model's.
  void restore(const std::filesystem::path& folder);
  // Fills values shaped like trainable() with what as_stored() gave of them, from a file under names behind `prefix`.
  // Throws as restore() does.
  void take_stored(const std::filesystem::path& file, const std::string& prefix,
                   const std::vector<torch::Tensor>& values) const;
  // The file in such a folder that holds the values.
  std::string weights_file() const;

 private:
  DecoderModel(checkpoint::ModelConfig config, std::shared_ptr<ModelWeights> weights);
  DecoderModel with(ModelWeights weights) const;  // run over the same group
  bool is_split() const;
  torch::Tensor embed(const DevicePlan& plan) const;
  PassPlan checked_plan(const PassInput& input, const KvCache* cache) const;
  struct PassOptions;
  torch::Tensor run(const DevicePlan& plan, KvCache* cache, const PassOptions& options) const;
  checkpoint::ModelConfig config_;
  std::shared_ptr<ModelWeights> weights_;
  std::shared_ptr<PassTables> tables_;
  TensorGroup group_;
};

}  // namespace cmc::model
