#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace cmc::fusion {

// Many token sequences as a forest in which equal prefixes share nodes, so that one pass with a tree mask gives the
// last state of each: the cross-vocabulary scoring of all re-encoded prefixes at once.
class PrefixForest {
 public:
  // Node of the last token; -1 for an empty sequence. Parents come before children.
  int64_t add(std::span<const int32_t> ids);
  // Nodes of the sequence added last, one a token.
  const std::vector<int64_t>& path() const { return path_; }

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  const std::vector<int64_t>& tokens() const { return tokens_; }        // [N]
  const std::vector<int64_t>& positions() const { return positions_; }  // [N] depth, roots 0
  const std::vector<int64_t>& parents() const { return parents_; }      // [N], -1 for roots
  // Row-major [N, N], 1 where column is row itself or one of its ancestors.
  std::vector<uint8_t> mask() const;

 private:
  std::vector<int64_t> tokens_, positions_, parents_;
  std::map<std::pair<int64_t, int32_t>, int64_t> children_;  // (parent, token) → node
  std::vector<int32_t> last_;                                // the last sequence added, and its nodes:
  std::vector<int64_t> path_;                                // successive prefixes share most of their path
};

}  // namespace cmc::fusion
