#include "pipeline/model/head_layout.hpp"

namespace cmc::model {

using checkpoint::ModelConfig;

std::vector<int64_t> numbers_of(const Range& range) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < range.count; ++i) numbers.push_back(range.first + i * range.step);
  return numbers;
}

std::vector<Range> head_order(const ModelConfig& config) {
  const checkpoint::RotaryLayout& rotary = config.rotary;
  const int64_t turned = rotary.count / 2, half = config.head_dim / 2, rest = half - turned;
  if (rotary.count == 0 || (rotary.count == config.head_dim && !rotary.pairs)) return {{0, config.head_dim, 1}};
  const int64_t step = rotary.pairs ? 2 : 1, second = rotary.first + (rotary.pairs ? 1 : turned);
  // Those that do not turn stand before or behind the others, never on both sides.
  const int64_t still = rotary.first > 0 ? 0 : rotary.count;
  std::vector<Range> order;
  const auto add = [&](const Range& range) {
    if (range.count > 0) order.push_back(range);
  };
  add({rotary.first, turned, step});
  add({still, rest, 1});
  add({second, turned, step});
  add({still + rest, rest, 1});
  return order;
}

namespace {

// A range that goes on where the last one ends becomes part of it.
void append(Slices& rows, const Range& range) {
  if (!rows.ranges.empty()) {
    Range& last = rows.ranges.back();
    if (last.step == 1 && range.step == 1 && last.first + last.count == range.first) {
      last.count += range.count;
      return;
    }
  }
  rows.ranges.push_back(range);
}

void append(Slices& rows, const Slices& more) {
  for (const Range& range : more.ranges) append(rows, range);
}

}  // namespace

Slices rows_of_heads(const std::vector<int64_t>& heads, int64_t whole, int64_t stride, int64_t offset,
                     const std::vector<Range>& of_head) {
  Slices rows{whole, {}};
  for (const int64_t head : heads) {
    for (const Range& range : of_head) append(rows, {head * stride + offset + range.first, range.count, range.step});
  }
  return rows;
}

namespace {

// One tensor for all heads, a group of queries with its key and value after the other.
Slices rows_of_groups(const ModelConfig& config, const TensorSplit& split, const std::vector<Range>& order) {
  const int64_t dim = config.head_dim, group = config.heads / config.kv_heads, stride = (group + 2) * dim,
                whole = config.kv_heads * stride;
  Slices rows{whole, {}};
  for (const int64_t head : numbers_of(split.query_heads))
    append(rows, rows_of_heads({head / group}, whole, stride, head % group * dim, order));
  append(rows, rows_of_heads(split.key_heads, whole, stride, group * dim, order));
  append(rows, rows_of_heads(split.key_heads, whole, stride, (group + 1) * dim, {{0, dim, 1}}));
  return rows;
}

}  // namespace

HeadRows head_rows(const ModelConfig& config, const TensorSplit& split) {
  const int64_t dim = config.head_dim, queries = config.heads * dim, keys = config.kv_heads * dim;
  const std::vector<Range> order = head_order(config);
  HeadRows rows;
  rows.query = rows_of_heads(numbers_of(split.query_heads), queries, dim, 0, order);
  rows.key = rows_of_heads(split.key_heads, keys, dim, 0, order);
  rows.value = rows_of_heads(split.key_heads, keys, dim, 0, {{0, dim, 1}});
  rows.joined = config.names.joined_heads == checkpoint::JoinedHeads::groups
                    ? rows_of_groups(config, split, order)
                    : followed_by(followed_by(rows.query, rows.key), rows.value);
  return rows;
}

Slices value_columns(const ModelConfig& config, const TensorSplit& split) {
  const int64_t dim = config.value_dim;
  return {config.heads * dim, {{split.query_heads.first * dim, split.query_heads.count * dim, 1}}};
}

}  // namespace cmc::model
