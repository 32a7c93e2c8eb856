#include "pipeline/fusion/sequence_states.hpp"

#include <algorithm>

namespace cmc::fusion {
namespace {

constexpr std::ptrdiff_t worth_sharing = 8;  // tokens; below that a tree saves less than its mask costs

torch::Tensor indices(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

std::ptrdiff_t common_beginning(const Predicted& a, const Predicted& b) {
  return std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end()).first - a.tokens.begin();
}

int64_t predicted_tokens(const Predicted& sequence) {
  return std::max<int64_t>(0, static_cast<int64_t>(sequence.tokens.size()) - sequence.first);
}

// Collects states in the order they are computed, and where each belongs.
struct Collected {
  std::vector<torch::Tensor> states;
  std::vector<int64_t> rows;

  void add(torch::Tensor some, int64_t first_row, int64_t count) {
    states.push_back(std::move(some));
    for (int64_t i = 0; i < count; ++i) rows.push_back(first_row + i);
  }
};

// Neighbours [begin, end) as one tree; their first predicted token is row `row`.
void read_tree(const model::DecoderModel& model, std::span<const Predicted> sequences, int64_t row,
               Collected& collected) {
  PrefixForest forest;
  std::vector<int64_t> nodes;
  for (const auto& sequence : sequences) {
    std::vector<int32_t> ids;
    for (const auto token : sequence.tokens.first(sequence.tokens.size() - 1)) ids.push_back(token.value);
    forest.add(ids);
    const auto& path = forest.path();
    for (auto t = sequence.first; t < static_cast<int64_t>(sequence.tokens.size()); ++t)
      nodes.push_back(path[static_cast<size_t>(t - 1)]);
  }
  collected.add(states_of_nodes(model, forest, nodes), row, static_cast<int64_t>(nodes.size()));
}

// Sequences without a common beginning, with the row of each one's first predicted token.
struct Packed {
  model::ModelInput input;
  std::vector<int64_t> tokens, predicting;
  std::vector<int64_t> rows;

  void add(const Predicted& sequence, int64_t row) {
    const auto length = static_cast<int64_t>(sequence.tokens.size());
    const auto start = static_cast<int64_t>(tokens.size());
    for (int64_t t = 0; t + 1 < length; ++t) tokens.push_back(sequence.tokens[static_cast<size_t>(t)].value);
    for (int64_t t = sequence.first; t < length; ++t) {
      predicting.push_back(start + t - 1);
      rows.push_back(row++);
    }
    input.spans.push_back({static_cast<int64_t>(input.spans.size()), length - 1});
  }
};

}  // namespace

torch::Tensor states_of_nodes(const model::DecoderModel& model, const PrefixForest& forest,
                              const std::vector<int64_t>& nodes) {
  auto mask = forest.mask();
  const int64_t size = forest.size();
  model::ModelInput input;
  input.tokens = indices(forest.tokens(), torch::kCPU);  // where the model checks them
  input.positions = indices(forest.positions(), torch::kCPU);
  input.spans = {{0, size}};
  input.tree_mask = torch::from_blob(mask.data(), {size, size}, torch::kUInt8).to(torch::kBool).to(model.device());
  return model.hidden(input, nullptr).index_select(0, indices(nodes, model.device()));
}

torch::Tensor states_before_answers(const model::DecoderModel& model, std::span<const Predicted> sequences) {
  Collected collected;
  Packed packed;
  int64_t row = 0;
  for (size_t begin = 0, end = 0; begin < sequences.size(); begin = end) {
    int64_t count = predicted_tokens(sequences[begin]);
    auto nodes = std::ssize(sequences[begin].tokens);
    for (end = begin + 1; end < sequences.size(); ++end) {
      const auto common = common_beginning(sequences[end - 1], sequences[end]);
      nodes += std::ssize(sequences[end].tokens) - common;
      if (common < worth_sharing || nodes > largest_tree) break;
      count += predicted_tokens(sequences[end]);
    }
    if (count > 0 && end - begin > 1) read_tree(model, sequences.subspan(begin, end - begin), row, collected);
    if (count > 0 && end - begin == 1) packed.add(sequences[begin], row);
    row += count;
  }
  if (!packed.rows.empty()) {
    packed.input.tokens = indices(packed.tokens, torch::kCPU);
    collected.states.push_back(
        model.hidden(packed.input, nullptr).index_select(0, indices(packed.predicting, model.device())));
    collected.rows.insert(collected.rows.end(), packed.rows.begin(), packed.rows.end());
  }
  auto states = collected.states.size() == 1 ? collected.states[0] : torch::cat(collected.states);
  if (std::is_sorted(collected.rows.begin(), collected.rows.end())) return states;
  return torch::empty_like(states).index_copy_(0, indices(collected.rows, model.device()), states);
}

}  // namespace cmc::fusion
