#include "pipeline/train/packed_batch.hpp"

#include <algorithm>
#include <functional>

namespace cmc::train {
namespace {

torch::Tensor to_tensor(std::vector<int64_t>& values, torch::Device device) {
  return torch::from_blob(values.data(), {std::ssize(values)}, torch::kLong).clone().to(device);
}

}  // namespace

std::vector<std::vector<const Example*>> passes_of(std::span<const Example* const> examples, int64_t tokens) {
  std::vector<const Example*> ordered(examples.begin(), examples.end());
  const auto length = [](const Example* example) { return std::ssize(example->tokens); };
  if (tokens > 0) std::ranges::stable_sort(ordered, std::greater<>(), length);
  std::vector<std::vector<const Example*>> passes;
  int64_t left = 0;
  for (const Example* example : ordered) {
    if (passes.empty() || length(example) > left) {
      passes.emplace_back();
      left = tokens;
    }
    passes.back().push_back(example);
    left -= length(example);
  }
  return passes;
}

PackedBatch pack(std::span<const Example* const> examples, torch::Device device) {
  std::vector<int64_t> tokens, predicting, labels;
  PackedBatch packed;
  for (const Example* example : examples) {
    const int64_t start = std::ssize(tokens);
    tokens.insert(tokens.end(), example->tokens.begin(), example->tokens.end());
    for (const int64_t position : predicting_positions(*example)) {
      predicting.push_back(start + position);
      labels.push_back(example->labels[static_cast<size_t>(position) + 1]);
    }
    packed.input.spans.push_back({.slot = std::ssize(packed.input.spans), .tokens = std::ssize(example->tokens)});
  }
  packed.input.tokens = to_tensor(tokens, torch::kCPU);  // where the model checks them
  packed.predicting = to_tensor(predicting, device);
  packed.labels = to_tensor(labels, device);
  return packed;
}

}  // namespace cmc::train
