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

}  // namespace

int64_t Slices::count() const {
  int64_t sum = 0;
  for (const Range& range : ranges) sum += range.count;
  return sum;
}

Slices all_of(int64_t whole) {
  return {whole, {{0, whole}}};
}

Slices followed_by(const Slices& first, const Slices& second) {
  Slices both = first;
  both.whole += second.whole;
  for (const Range& range : second.ranges) both.ranges.push_back({first.whole + range.first, range.count, range.step});
  return both;
}

namespace {

torch::Tensor part_of(const torch::Tensor& tensor, int64_t dimension, const Range& range) {
  return tensor.slice(dimension, range.first, range.first + (range.count - 1) * range.step + 1, range.step);
}

// copy(part of the stored tensor, the held one's) for each pair of ranges; vectors have no columns.
template <typename Copy>
void for_each_part(const torch::Tensor& stored, const torch::Tensor& held, const Slices& rows, const Slices& columns,
                   const Copy& copy) {
  int64_t row = 0;
  for (const Range& some : rows.ranges) {
    const torch::Tensor from = part_of(stored, 0, some), to = held.narrow(0, row, some.count);
    row += some.count;
    int64_t column = 0;
    if (stored.dim() == 1) copy(from, to);
    for (const Range& part : stored.dim() == 1 ? std::vector<Range>() : columns.ranges) {
      copy(part_of(from, 1, part), to.narrow(1, column, part.count));
      column += part.count;
    }
  }
}

}  // namespace

void copy_slices(const torch::Tensor& stored, const Slices& rows, const Slices& columns, torch::Tensor& target) {
  for_each_part(stored, target, rows, columns, [](const torch::Tensor& from, torch::Tensor to) { to.copy_(from); });
}

void put_slices(const torch::Tensor& held, const Slices& rows, const Slices& columns, torch::Tensor& stored) {
  for_each_part(stored, held, rows, columns, [](torch::Tensor to, const torch::Tensor& from) { to.copy_(from); });
}

void add_slices(const torch::Tensor& held, const Slices& rows, const Slices& columns, torch::Tensor& stored) {
  for_each_part(stored, held, rows, columns, [](torch::Tensor to, const torch::Tensor& from) { to.add_(from); });
}

torch::Tensor stored_order(const torch::Tensor& held, const Slices& rows, const Slices& columns) {
  const auto lies_in_order = [](const Slices& slices) {
    return slices.ranges.size() <= 1 && (slices.ranges.empty() || slices.ranges.front().step == 1);
  };
  if (lies_in_order(rows) && lies_in_order(columns)) return held;
  const torch::NoGradGuard no_gradients;
  torch::Tensor stored = torch::empty_like(held);
  put_slices(held, rows, columns, stored);
  return stored;
}

Range share_of(int64_t whole, TensorRank tensor_rank) {
  const int64_t first = whole * tensor_rank.index / tensor_rank.size;
  return {first, whole * (tensor_rank.index + 1) / tensor_rank.size - first, 1};
}

TensorSplit split_model(const checkpoint::ModelConfig& config, TensorRank of_all) {
  expect(of_all.index >= 0 && of_all.index < of_all.size && of_all.size % of_all.blocks == 0,
         "a rank is one of its group, whose blocks are of one size");
  const TensorRank tensor_rank = of_all.in_block();
  if (of_all.blocks > 1 && config.layers < of_all.blocks)
    throw Refused({config.architecture + " in " + std::to_string(of_all.blocks) + " blocks",
                   "cannot be split: it has " + std::to_string(config.layers) + " layers",
                   "set pipeline_parallel to fewer"});
  if (config.heads % tensor_rank.size != 0) {
    refuse(config, tensor_rank, "cannot be split: it has " + std::to_string(config.heads) + " attention heads");
  }
  const auto leaves_nothing = [&](int64_t width) { return width > 0 && width < tensor_rank.size; };
  if (leaves_nothing(config.intermediate) || leaves_nothing(config.experts.intermediate) ||
      leaves_nothing(config.experts.shared_intermediate) || config.vocabulary < of_all.size)
    refuse(config, tensor_rank, "leaves a rank nothing");
  TensorSplit split{of_all, config, share_of(config.layers, of_all.block()), {}, {}, {}, {}, {}, {}};
  const int64_t heads = config.heads / tensor_rank.size, first = heads * tensor_rank.index,
                group = config.heads / config.kv_heads;
  // Attention wants one number of query heads for each key/value head. The largest that fits: a head that queries of
  // two ranks read is held by both, one that they read unevenly even several times by one rank.
  const int64_t together = std::gcd(heads, group);
  for (int64_t head = first; head < first + heads; head += together) split.key_heads.push_back(head / group);
  const auto share = [&](int64_t whole) { return Slices{whole, {share_of(whole, tensor_rank)}}; };
  split.query_heads = {first, heads};
  split.intermediate = share(config.intermediate);
  split.expert_intermediate = share(config.experts.intermediate);
  split.shared_intermediate = share(config.experts.shared_intermediate);
  split.vocabulary = {config.vocabulary, {share_of(config.vocabulary, of_all)}};
  split.local.layers = split.layers.count;
  split.local.heads = heads;
  split.local.kv_heads = std::ssize(split.key_heads);
  split.local.intermediate = split.intermediate.count();
  split.local.experts.intermediate = split.expert_intermediate.count();
  split.local.experts.shared_intermediate = split.shared_intermediate.count();
  return split;
}

}  // namespace cmc::model
