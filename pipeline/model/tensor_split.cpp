#include "pipeline/model/tensor_split.hpp"

#include <numeric>

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

[[noreturn]] void refuse(const checkpoint::ModelConfig& config, TensorRank tensor_rank, const std::string& what) {
  std::string fitting;
  for (int64_t size = 1; size <= config.heads; ++size) {
    if (config.heads % size == 0) fitting += (fitting.empty() ? "" : ", ") + std::to_string(size);
  }
  throw Refused({config.architecture + " over " + std::to_string(tensor_rank.size) + " ranks", what,
                 "set tensor_parallel to one of " + fitting});
}

Slices heads_of(const std::vector<int64_t>& heads, int64_t whole, int64_t dim) {
  Slices slices{whole * dim, {}};
  for (const int64_t head : heads) slices.ranges.push_back({head * dim, dim});
  return slices;
}

}  // namespace

int64_t Slices::count() const {
  int64_t sum = 0;
  for (const Range& range : ranges) sum += range.count;
  return sum;
}

Slices all_of(int64_t whole) {
  return {whole, {{0, whole}}};
}

void copy_slices(const torch::Tensor& stored, const Slices& rows, const Slices& columns, torch::Tensor& target) {
  int64_t row = 0;
  for (const Range& some : rows.ranges) {
    const torch::Tensor from = stored.narrow(0, some.first, some.count);
    torch::Tensor to = target.narrow(0, row, some.count);
    row += some.count;
    int64_t column = 0;
    if (stored.dim() == 1) to.copy_(from);
    for (const Range& part : stored.dim() == 1 ? std::vector<Range>() : columns.ranges) {
      to.narrow(1, column, part.count).copy_(from.narrow(1, part.first, part.count));
      column += part.count;
    }
  }
}

Range share_of(int64_t whole, TensorRank tensor_rank) {
  const int64_t first = whole * tensor_rank.index / tensor_rank.size;
  return {first, whole * (tensor_rank.index + 1) / tensor_rank.size - first};
}

TensorSplit split_model(const checkpoint::ModelConfig& config, TensorRank tensor_rank) {
  expect(tensor_rank.index >= 0 && tensor_rank.index < tensor_rank.size, "a rank is one of its group");
  if (config.heads % tensor_rank.size != 0) {
    refuse(config, tensor_rank, "cannot be split: it has " + std::to_string(config.heads) + " attention heads");
  }
  if (config.intermediate < tensor_rank.size || config.vocabulary < tensor_rank.size)
    refuse(config, tensor_rank, "leaves a rank nothing");
  TensorSplit split{tensor_rank, config, {}, {}, {}, {}};
  const int64_t heads = config.heads / tensor_rank.size, first = heads * tensor_rank.index,
                group = config.heads / config.kv_heads;
  // Attention wants one number of query heads for each key/value head. The largest that fits: a head that queries of
  // two ranks read is held by both, one that they read unevenly even several times by one rank.
  const int64_t together = std::gcd(heads, group);
  std::vector<int64_t> read;
  for (int64_t head = first; head < first + heads; head += together) read.push_back(head / group);
  split.local.heads = heads;
  split.local.kv_heads = static_cast<int64_t>(read.size());
  split.local.intermediate = share_of(config.intermediate, tensor_rank).count;
  split.queries = {config.heads * config.head_dim, {{first * config.head_dim, heads * config.head_dim}}};
  split.keys = heads_of(read, config.kv_heads, config.head_dim);
  split.intermediate = {config.intermediate, {share_of(config.intermediate, tensor_rank)}};
  split.vocabulary = {config.vocabulary, {share_of(config.vocabulary, tensor_rank)}};
  return split;
}

}  // namespace cmc::model
