#include "pipeline/text/splitter.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

struct Part {
  Span span;
  bool divides;
};

// The whole word, matches and what lies between them, in order.
std::vector<Part> parts_of(const Span& word, const std::vector<Span>& matches, Matched matched) {
  const bool divides = matched == Matched::delimiters;
  std::vector<Part> parts;
  size_t done = word.begin;
  for (const auto& [begin, end] : matches) {
    if (word.begin + begin > done) parts.push_back({{done, word.begin + begin}, !divides});
    parts.push_back({{word.begin + begin, word.begin + end}, divides});
    done = word.begin + end;
  }
  if (done < word.end) parts.push_back({{done, word.end}, !divides});
  return parts;
}

// Joins neighbours: a part joins the one before it (in the order given) where `joins(it divides, the previous one
// did)`.
template <class Joins>
std::vector<Part> joined(const std::vector<Part>& parts, Joins joins) {
  std::vector<Part> made;
  bool previous = false;
  for (const auto& part : parts) {
    if (!made.empty() && joins(part.divides, previous)) {
      made.back().span.begin = std::min(made.back().span.begin, part.span.begin);
      made.back().span.end = std::max(made.back().span.end, part.span.end);
    } else {
      made.push_back(part);
    }
    previous = part.divides;
  }
  return made;
}

bool new_delimiter(bool divides, bool previous) {
  return divides && !previous;
}
bool same_kind(bool divides, bool previous) {
  return divides == previous;
}

}  // namespace

SplitBehavior split_behavior(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  throw BadData({where, "is \"" + name + "\", a way to split that does not exist",
                 "known are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous"});
}

void split_word(const Span& word, const std::vector<Span>& matches, Matched matched, SplitBehavior behavior,
                std::vector<Span>& spans) {
  auto parts = parts_of(word, matches, matched);
  if (behavior == SplitBehavior::merged_with_previous) parts = joined(parts, new_delimiter);
  if (behavior == SplitBehavior::contiguous) parts = joined(parts, same_kind);
  if (behavior == SplitBehavior::merged_with_next) {
    std::reverse(parts.begin(), parts.end());
    parts = joined(parts, new_delimiter);
    std::reverse(parts.begin(), parts.end());
  }
  for (const auto& [span, divides] : parts)
    if (span.end > span.begin && !(divides && behavior == SplitBehavior::removed)) spans.push_back(span);
}

}  // namespace cmc::text
