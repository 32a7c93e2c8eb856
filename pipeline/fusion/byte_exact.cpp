#include "pipeline/fusion/byte_exact.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/sequence_states.hpp"
#include "pipeline/token_map/token_map.hpp"

namespace cmc::fusion {
namespace {

using text::TokenKind, text::VocabularyEntry;

constexpr size_t at_once = 256;  // beginnings in one pass of the delta

std::string bytes_of(const VocabularyEntry& entry) {
  const bool is_text =
      entry.kind == TokenKind::text || entry.kind == TokenKind::partial || entry.kind == TokenKind::byte;
  return is_text ? entry.bytes : "";
}

}  // namespace

ByteExact::ByteExact(std::shared_ptr<const model::DecoderModel> delta, const text::Tokenizer& delta_tokens,
                     const text::Tokenizer& base_tokens, double least)
    : delta_(std::move(delta)), trie_(1), base_size_(base_tokens.vocabulary().size()), least_(least) {
  for (const auto& entry : delta_tokens.vocabulary()) delta_bytes_.push_back(bytes_of(entry));
  delta_bytes_.resize(static_cast<size_t>(delta_->config().vocabulary));  // what the model has no row for, or no token
  const auto identical =
      token_map::make_token_map(base_tokens, delta_tokens, token_map::Method::exact_only, token_map::Compat::corrected);
  for (int32_t token = 0; token < base_tokens.size(); ++token) {
    const auto& entry = base_tokens.vocabulary()[static_cast<size_t>(token)];
    if (const auto bytes = bytes_of(entry); !bytes.empty()) add(token, bytes);
    if (entry.kind != TokenKind::special) continue;
    if (const int32_t other = identical[BaseToken{token}].value; other >= 0) specials_.emplace_back(token, other);
  }
}

void ByteExact::add(int32_t token, const std::string& bytes) {
  int32_t node = 0;
  for (const char byte : bytes) {
    const auto next = static_cast<int32_t>(trie_.size());
    const auto [child, is_new] =
        trie_[static_cast<size_t>(node)].children.try_emplace(static_cast<unsigned char>(byte), next);
    node = child->second;
    if (is_new) trie_.emplace_back();
  }
  trie_[static_cast<size_t>(node)].tokens.push_back(token);
}

// [beginnings, delta vocabulary] float32 on the host.
torch::Tensor ByteExact::probabilities_after(std::span<const Written> all) const {
  const torch::NoGradGuard no_gradients;
  PrefixForest forest;
  std::vector<int64_t> nodes;
  for (const auto& written : all) nodes.push_back(forest.add(written.tokens));
  return delta_->logits(states_of_nodes(*delta_, forest, nodes)).softmax(1).to(torch::kCPU).contiguous();
}

// A token of the delta goes along the trie as far as it fits. Every base token that it passes is then written, whatever
// follows; where it ends within one, that one's beginning is.
void ByteExact::spread(const Written& from, const float* next, std::vector<double>& sums,
                       std::vector<Written>& further) const {
  for (size_t token = 0; token < delta_bytes_.size(); ++token) {
    const auto& bytes = delta_bytes_[token];
    const double probability = from.probability * static_cast<double>(next[token]);
    if (bytes.empty() || probability == 0) continue;
    int32_t node = from.node;
    size_t fits = 0;
    for (; fits < bytes.size(); ++fits) {
      const auto& children = trie_[static_cast<size_t>(node)].children;
      const auto child = children.find(static_cast<unsigned char>(bytes[fits]));
      if (child == children.end()) break;
      node = child->second;
      for (const int32_t base : trie_[static_cast<size_t>(node)].tokens) sums[static_cast<size_t>(base)] += probability;
    }
    if (fits < bytes.size() || trie_[static_cast<size_t>(node)].children.empty() || probability < least_) continue;
    auto& longer = further.emplace_back(Written{node, probability, from.tokens});
    longer.tokens.push_back(static_cast<int32_t>(token));
  }
}

// What begins with a token's bytes, less what goes on to a longer token's. Children come after their parents.
void ByteExact::take_longer_tokens_off(std::vector<double>& sums) const {
  std::vector<double> covered(trie_.size(), 0.0);  // of what passes a node: what becomes a token at it or beyond
  for (size_t at = trie_.size(); at-- > 0;) {
    const Node& node = trie_[at];
    double longer = 0;
    for (const auto& [byte, child] : node.children) longer += covered[static_cast<size_t>(child)];
    covered[at] = node.tokens.empty() ? longer : sums[static_cast<size_t>(node.tokens.front())];
    for (const int32_t token : node.tokens) sums[static_cast<size_t>(token)] = std::max(0.0, covered[at] - longer);
  }
}

std::vector<double> ByteExact::log_probs(std::span<const int32_t> context) const {
  expect(!context.empty(), "a delta reads something before it says what comes next");
  std::vector<double> sums(base_size_, std::numeric_limits<double>::quiet_NaN());
  for (const auto& node : trie_)
    for (const int32_t token : node.tokens) sums[static_cast<size_t>(token)] = 0.0;
  std::vector<Written> open = {{0, 1.0, {context.begin(), context.end()}}};
  bool is_first = true;
  while (!open.empty()) {
    std::vector<Written> further;
    for (size_t begin = 0; begin < open.size(); begin += at_once) {
      const auto some = std::span(open).subspan(begin, std::min(at_once, open.size() - begin));
      const auto next = probabilities_after(some);
      if (is_first)
        for (const auto& [base, delta] : specials_) sums[static_cast<size_t>(base)] = next[0][delta].item<float>();
      is_first = false;
      for (size_t i = 0; i < some.size(); ++i)
        spread(some[i], next.const_data_ptr<float>() + static_cast<int64_t>(i) * next.size(1), sums, further);
    }
    open = std::move(further);
  }
  take_longer_tokens_off(sums);
  for (double& sum : sums) sum = std::log(sum);
  return sums;
}

}  // namespace cmc::fusion
