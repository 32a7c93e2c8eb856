#pragma once
#include <torch/types.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/example.hpp"

namespace cmc::train {

struct HiddenStoreSettings {
  std::optional<torch::Dtype> kept_as = {};  // none: as the model computes them; torch::kBFloat16 halves the memory
  int64_t memory_bytes = int64_t{4} << 30;   // beyond it, states go to a mapped file
  std::filesystem::path spill_folder = {};   // for that file, removed with the store (even if killed); empty: TMPDIR
  // Kept on the model's device while they take no more; none: of CUDA a quarter of what is free when the store is made,
  // of a CPU nothing, since its memory is the above.
  std::optional<int64_t> device_bytes = {};
  // Examples of so many tokens are run in one pass; 0: each alone; none: what is fast on the device (pass_tokens_for).
  std::optional<int64_t> pass_tokens = {};
};

// Tokens of frozen examples that one pass takes: 16,384 or what memory allows on CUDA, where a few are launched as long
// as they are computed. On a CPU each example runs alone, whose states then have the same bits whichever examples stand
// beside it.
int64_t pass_tokens_for(const model::DecoderModel& model);

// Last hidden states of a frozen model at the predicting positions of examples, computed once (architecture.md "Speed
// by design" 4). Known by the example's content, so one store serves all epochs, and all trainings with this model.
// With pass_tokens = 0 each example is run alone, so its states have the same bits whichever examples share its batch,
// before and after a resume. The ranks of a split model compute states together and keep a share of the columns each.
// One thread at a time.
class HiddenStore {
 public:
  HiddenStore(std::shared_ptr<const model::DecoderModel> model, HiddenStoreSettings settings);
  ~HiddenStore();
  HiddenStore(const HiddenStore&) = delete;
  HiddenStore& operator=(const HiddenStore&) = delete;

  // [Σ label_count, hidden] on the model's device, examples in order; computes those it does not hold.
  // Throws IoError when the spill file cannot grow.
  torch::Tensor states(std::span<const Example* const> examples);
  // Computes what it does not hold of these, in passes of many. Throws as states() does.
  void prepare(std::span<const Example* const> examples);

  // Collective: computes what any rank lacks, dealt over the ranks, and hands every rank the result.
  void fill(std::span<const Example* const> examples, const distributed::Communicator& group);

  const model::DecoderModel& model() const { return *model_; }
  int64_t examples() const;
  int64_t memory_bytes() const;                        // held in memory
  int64_t device_bytes() const { return on_device_; }  // held on the model's device
  int64_t spilled_bytes() const;                       // held in the file

 private:
  struct Arena;
  struct Place {
    std::byte* at = nullptr;  // in the arena
    int64_t rows = 0;
    torch::Tensor on_device;  // in place of it
  };
  model::Range columns() const;  // of the states that this rank keeps
  int64_t row_bytes() const;
  torch::Tensor at(const Place& place) const;
  void run(std::span<const Example* const> examples);
  void keep(const std::string& key, const torch::Tensor& states);
  std::vector<const Example*> missing_anywhere(std::span<const Example* const> examples,
                                               const distributed::Communicator& group) const;
  void exchange(std::span<const Example* const> examples, int root, int64_t bytes,
                const distributed::Communicator& group);

  std::shared_ptr<const model::DecoderModel> model_;
  torch::Dtype kept_as_;
  int64_t device_budget_, on_device_ = 0, pass_tokens_;
  std::unique_ptr<Arena> arena_;
  std::unordered_map<std::string, Place> places_;  // by content key
};

// [Σ label_count, hidden] in the model's dtype: all examples in one pass, nothing kept.
torch::Tensor frozen_states(const model::DecoderModel& model, std::span<const Example* const> examples);

}  // namespace cmc::train
