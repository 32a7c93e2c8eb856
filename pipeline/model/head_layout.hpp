#pragma once
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// The order in which the numbers of a query or key head are held, so that all rotations are one: the i-th number of
// each half turns with the other's, numbers that do not turn stand behind those that do in each half and turn by zero.
// Scores do not change, since queries and keys are reordered alike. Ranges of a head's stored numbers.
std::vector<Range> head_order(const checkpoint::ModelConfig& config);

// Where the rows of a rank's heads lie in the stored tensors of projections.
struct HeadRows {
  Slices query, key, value;  // of tensors of their own
  Slices joined;             // of one tensor for all, in the same order: queries, keys, values
};
HeadRows head_rows(const checkpoint::ModelConfig& config, const TensorSplit& split);

// Columns of the attention output's matrix: values of this rank's query heads.
Slices value_columns(const checkpoint::ModelConfig& config, const TensorSplit& split);

// Rows of heads that lie `stride` stored rows apart in `whole`, each from `offset` on: the given ranges of them.
Slices rows_of_heads(const std::vector<int64_t>& heads, int64_t whole, int64_t stride, int64_t offset,
                     const std::vector<Range>& of_head);

// The numbers of a range, one after the other.
std::vector<int64_t> numbers_of(const Range& range);

}  // namespace cmc::model
