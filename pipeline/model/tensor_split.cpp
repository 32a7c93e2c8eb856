#include "pipeline/model/tensor_split.hpp"

#include <numeric>

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

[[noreturn]] void refuse(const checkpoint::ModelConfig& config, Seat seat, const std::string& what) {
  std::string fitting;
  for (int64_t size = 1; size <= config.heads; ++size) {
    if (config.heads % size == 0) fitting += (fitting.empty() ? "" : ", ") + std::to_string(size);
  }
  throw Refused({config.architecture + " over " + std::to_string(seat.size) + " ranks", what,
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

Range share_of(int64_t whole, Seat seat) {
  const int64_t first = whole * seat.rank / seat.size;
  return {first, whole * (seat.rank + 1) / seat.size - first};
}

TensorSplit split_model(const checkpoint::ModelConfig& config, Seat seat) {
  expect(seat.rank >= 0 && seat.rank < seat.size, "a seat is one of its group");
  if (config.heads % seat.size != 0) {
    refuse(config, seat, "cannot be split: it has " + std::to_string(config.heads) + " attention heads");
  }
  if (config.intermediate < seat.size || config.vocabulary < seat.size) refuse(config, seat, "leaves a rank nothing");
  TensorSplit split{seat, config, {}, {}, {}, {}};
  const int64_t heads = config.heads / seat.size, first = heads * seat.rank, group = config.heads / config.kv_heads;
  // Attention wants one number of query heads for each key/value head. The largest that fits: a head that queries of
  // two ranks read is held by both, one that they read unevenly even several times by one rank.
  const int64_t together = std::gcd(heads, group);
  std::vector<int64_t> read;
  for (int64_t head = first; head < first + heads; head += together) read.push_back(head / group);
  split.local.heads = heads;
  split.local.kv_heads = static_cast<int64_t>(read.size());
  split.local.intermediate = share_of(config.intermediate, seat).count;
  split.queries = {config.heads * config.head_dim, {{first * config.head_dim, heads * config.head_dim}}};
  split.keys = heads_of(read, config.kv_heads, config.head_dim);
  split.intermediate = {config.intermediate, {share_of(config.intermediate, seat)}};
  split.vocabulary = {config.vocabulary, {share_of(config.vocabulary, seat)}};
  return split;
}

}  // namespace cmc::model
