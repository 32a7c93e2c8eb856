#pragma once
#include <torch/types.h>

#include "pipeline/train/vocabulary_part.hpp"

namespace cmc::train {

// The passes of the losses over rows of logits [C, V] as float32 loops of this folder, one row in the caches after the
// other, rows over the threads. Labels [C] int64, weights and what is written [C], contiguous.

// Whether they take such logits, which no rank holds a part of: on a CPU that has AVX2 and FMA.
bool has_row_loops(const torch::Tensor& logits, const VocabularyPart& part);

// Replaces logits z by w (softmax(z) − onehot) and writes the cross-entropies.
void cross_entropy_rows(const torch::Tensor& z, const torch::Tensor& labels, const torch::Tensor& weights,
                        const torch::Tensor& losses);

// Two distributions p = softmax(other) and q = softmax(fused): replaces the logits `fused` by w (q − p) and writes
// Σ p log q and Σ p (log p − log q). `other` stays.
struct RowSums {
  torch::Tensor crossed, divergence;  // either may be undefined
};
void compared_rows(const torch::Tensor& other, const torch::Tensor& fused, const torch::Tensor& weights,
                   const RowSums& sums);

// logsumexp of each row, [C].
torch::Tensor normalisers_of(const torch::Tensor& z);

}  // namespace cmc::train
