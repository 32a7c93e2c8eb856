#include "pipeline/model/round_weights.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

// [rows, 1]: the largest number of each row of the whole matrix, without its sign.
torch::Tensor largest_of_rows(const torch::Tensor& wide, const Slices& columns, const TensorGroup& group) {
  const torch::Tensor largest = wide.abs().amax(1, true);
  if (columns.count() == columns.whole) return largest;
  return group.gather_columns(largest, group.tensor_rank().size).amax(1, true);
}

void round_rows(const Linear& block, int bits, const TensorGroup& group) {
  const double steps = (1 << (bits - 1)) - 1;
  torch::Tensor weight = block.weight;
  const torch::Tensor wide = weight.to(torch::kFloat32), scale = largest_of_rows(wide, block.columns, group) / steps;
  const torch::Tensor rounded = (wide / scale).round_() * scale;
  weight.copy_(torch::where(scale > 0, rounded, wide));
}

}  // namespace

void round_layers(ModelWeights& weights, int bits, const TensorGroup& group) {
  expect(bits >= 2 && bits <= 8, "integers of 2 to 8 bits");
  expect(group.tensor_rank() == weights.split.tensor_rank, "parts of a model are rounded over their group");
  const torch::NoGradGuard no_gradients;
  const TensorGroup together = group.block();  // that hold these layers
  for (Linear* block : layer_blocks(weights)) {
    if (block->weight.numel() == 0) continue;  // another block's
    round_rows(*block, bits, together);
    block->unpack();
  }
}

}  // namespace cmc::model
