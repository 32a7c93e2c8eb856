#pragma once
#include <torch/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "pipeline/cpu/packed_gemm.hpp"
#include "pipeline/model/kept_memory.hpp"
#include "pipeline/train/vocabulary_part.hpp"

namespace cmc::train {

// One summand of the fused logits: coefficient * softcap(hidden · weightᵀ + bias).
struct LogitTerm {
  torch::Tensor hidden;  // [N, D] states as the output layer reads them, D of its own
  torch::Tensor weight;  // [V, D] output weight; V: the vocabulary, or the own part of it
  double coefficient = 1.0;
  double final_softcap = 0;  // cap * tanh(x / cap); 0: none
  torch::Tensor bias = {};   // [V] of the output; undefined: none
  // A weight that is not trained, as a CPU's kernels read it; may be null.
  std::shared_ptr<const cpu::PackedMatrix> packed = {};

  LogitTerm rows(int64_t first, int64_t count) const;
};

// N rows of fused logits, one a predicting position, and what each weighs in a loss.
struct FusedRows {
  std::vector<LogitTerm> frozen;  // no gradient: the template (+1), for delta-unlearning also the first delta (-alpha);
                                  // empty: plain fine-tuning of the trained model
  LogitTerm trained;              // gradients flow to hidden and weight; its coefficient is alpha
  torch::Tensor weights;          // [N] w_i, any sign, in loss_dtype(trained)
  // Whose logits all terms give here. Where it is split, the gradients by hidden and weight are of the own part alone.
  VocabularyPart part = {};
  // Where given, the gradient of trained.weight is added here in the forward pass, as for an upstream gradient of 1,
  // and autograd sees a constant weight: saves a second [V, D] where that is the model's largest tensor.
  torch::Tensor weight_gradient;
  torch::Tensor bias_gradient;                // the same of trained.bias, which gets its gradient in no other way
  int64_t memory_bytes = int64_t{128} << 20;  // the chunk of logits held at once takes at most about this much
  std::shared_ptr<model::KeptMemory> memory = std::make_shared<model::KeptMemory>();  // of chunks of logits
};

// Logits, losses and weights of tokens are float32, or what the states have where that is wider.
torch::Dtype loss_dtype(const LogitTerm& trained);

// Throws Internal on shapes and types that do not fit.
void check_rows(const FusedRows& rows);
void check_term(const LogitTerm& term, int64_t rows, int64_t vocabulary);

// How many rows of logits fit into memory_bytes when `buffers` of them are held; at least one.
int64_t chunk_rows(const FusedRows& rows, int64_t buffers);

// Adds coefficient * logits of the rows [first, first + C) to `logits` [C, V]; overwrites them when `add_to` is 0.
// Returns the softcap's slope [C, V], undefined without one.
torch::Tensor add_term(const LogitTerm& term, int64_t first, double add_to, torch::Tensor& logits);
// The same for all of them; overwrites when there is one. Returns what the next term's `add_to` is: 0 for none, else 1.
double add_terms(const std::vector<LogitTerm>& terms, int64_t first, torch::Tensor& logits);

// Calls work(first, count) for all rows of `logits` [C, V]: on the CPU for one at a time, in parallel, so that a row
// stays in the core's cache through all passes; elsewhere, and where ranks hold parts of them, for all at once. Without
// gradients.
void for_each_row(const torch::Tensor& logits, const VocabularyPart& part,
                  const std::function<void(int64_t, int64_t)>& work);

// Two fused distributions at some rows, as logits that a loss overwrites.
struct PairedRows {
  int64_t first = 0, count = 0;
  torch::Tensor other;  // [count, V] of another model
  torch::Tensor fused;  // [count, V] of the trained one; becomes the loss's gradient by them
  torch::Tensor of(const torch::Tensor& all) const { return all.narrow(0, first, count); }
};

// A loss's gradient by the trained term, gathered chunk by chunk from its gradient by the fused logits.
class GatheredGradient {
 public:
  explicit GatheredGradient(const FusedRows& rows);
  // `logits` [C, V]: the gradient by the fused logits of rows [first, first + C), overwritten; `slope`: of add_term.
  void add(int64_t first, torch::Tensor& logits, const torch::Tensor& slope);
  // `value` [] as a loss whose backward pass hands out what was gathered.
  torch::Tensor attach(const torch::Tensor& value) const;

 private:
  const FusedRows& rows_;
  torch::Tensor hidden_, weight_, bias_;  // undefined where not wanted
};

// A loss that compares the fused distribution with another, in chunks of tokens: calls work for all rows, as
// for_each_row does, and gathers the gradient. `other`: what that model has in place of `trained`; null: the same as
// `trained`.
void compare_rows(const FusedRows& rows, const LogitTerm* other, GatheredGradient& gradient,
                  const std::function<void(const PairedRows&)>& work);

}  // namespace cmc::train
