#pragma once
#include <torch/types.h>

#include <string>
#include <vector>

#include "pipeline/model/trained_parts.hpp"

namespace cmc::train {

using model::NamedTensors;

// Which weights decay.
enum class DecayedWeights {
  matrices,  // all but biases and norm weights (tensors of fewer than two dimensions), as Hugging Face's Trainer does
  all,
};

struct AdamWSettings {  // defaults: torch.optim.AdamW and Hugging Face's TrainingArguments
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.0;
  DecayedWeights decayed = DecayedWeights::matrices;
};

// One flat tensor per quantity, with a view per parameter: what is summed over ranks, clipped, or written to disk is
// one range.
class FlatTensors {
 public:
  // Zeros shaped like `parameters`, with `extra` more scalars at the end.
  FlatTensors(const NamedTensors& parameters, int64_t extra);
  torch::Tensor& flat() { return flat_; }  // [elements + extra] float32
  torch::Tensor values() { return flat_.narrow(0, 0, elements_); }
  torch::Tensor extra() { return flat_.narrow(0, elements_, flat_.numel() - elements_); }
  std::vector<torch::Tensor>& views() { return views_; }  // in the order of the parameters

 private:
  int64_t elements_ = 0;
  torch::Tensor flat_;
  std::vector<torch::Tensor> views_;
};

// Decoupled weight decay (Loshchilov & Hutter 2019) with torch.optim.AdamW's numbers, through PyTorch's fused kernel.
class AdamW {
 public:
  // `parameters` are updated in place; they must be float32.
  AdamW(NamedTensors parameters, AdamWSettings settings);

  // One update with the gradients' views; counts as step `steps() + 1`.
  void step(FlatTensors& gradients, double learning_rate);

  int64_t steps() const { return steps_; }
  FlatTensors& first_moment() { return first_; }
  FlatTensors& second_moment() { return second_; }
  // Goes on behind so many steps, whose moments have been put back.
  void go_on_behind(int64_t steps) { steps_ = steps; }

 private:
  std::vector<torch::Tensor> parameters_;
  std::vector<bool> decays_;
  AdamWSettings settings_;
  FlatTensors first_, second_;
  int64_t steps_ = 0;
};

// Scales gradients of this L2 norm so that it is at most `max_norm` (as torch.nn.utils.clip_grad_norm_); 0: leaves
// them.
void clip_gradients(FlatTensors& gradients, double norm, double max_norm);

}  // namespace cmc::train
