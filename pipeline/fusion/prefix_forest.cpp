#include "pipeline/fusion/prefix_forest.hpp"

#include <algorithm>

namespace cmc::fusion {

int64_t PrefixForest::add(std::span<const int32_t> ids) {
  const auto shared =
      static_cast<size_t>(std::mismatch(ids.begin(), ids.end(), last_.begin(), last_.end()).first - ids.begin());
  path_.resize(shared);
  last_.assign(ids.begin(), ids.end());
  int64_t node = shared == 0 ? -1 : path_.back();
  for (size_t i = shared; i < ids.size(); ++i) {
    const auto [child, is_new] = children_.try_emplace({node, ids[i]}, size());
    if (is_new) {
      tokens_.push_back(ids[i]);
      positions_.push_back(static_cast<int64_t>(i));
      parents_.push_back(node);
    }
    node = child->second;
    path_.push_back(node);
  }
  return node;
}

std::vector<uint8_t> PrefixForest::mask() const {
  const size_t n = tokens_.size();
  std::vector<uint8_t> mask(n * n, 0);
  for (size_t i = 0; i < n; ++i) {
    const auto row = mask.begin() + static_cast<std::ptrdiff_t>(i * n);
    if (parents_[i] >= 0) {
      const auto parent = mask.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(parents_[i]) * n);
      std::copy(parent, parent + static_cast<std::ptrdiff_t>(i), row);
    }
    row[static_cast<std::ptrdiff_t>(i)] = 1;
  }
  return mask;
}

}  // namespace cmc::fusion
