#include "pipeline/token_map/prefix_index.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

#include "pipeline/core/utf8.hpp"

namespace cmc::token_map {
namespace {

bool only_spaces(std::string_view text) {
  return text.find_first_not_of(' ') == std::string_view::npos;
}

// The proper prefixes of `text` that may stand for it, the longest first: each is one code point shorter.
std::vector<std::string_view> prefixes_of(std::string_view text) {
  std::vector<std::string_view> prefixes;
  for (size_t end = text.size(); end > 1;) {
    do --end;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    const auto prefix = text.substr(0, end);
    if (prefix.empty() || (prefix == " " && !only_spaces(text))) break;
    prefixes.push_back(prefix);
  }
  return prefixes;
}

}  // namespace

PrefixIndex::PrefixIndex(const std::vector<std::optional<std::string>>& texts) {
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!texts[id] || texts[id]->empty()) continue;
    const auto length = static_cast<int32_t>(count_code_points(*texts[id]));
    entries_.push_back({*texts[id], length, static_cast<int32_t>(id)});
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.text, a.id) < std::tie(b.text, b.id); });
  const auto before = [&](uint32_t a, uint32_t b) {
    return std::tie(entries_[a].length, entries_[a].id) < std::tie(entries_[b].length, entries_[b].id);
  };
  shortest_.emplace_back();
  for (uint32_t i = 0; i < entries_.size(); ++i) shortest_[0].push_back(i);
  for (size_t width = 2; width <= entries_.size(); width *= 2) {
    const auto& halves = shortest_.back();
    std::vector<uint32_t> level(entries_.size() - width + 1);
    for (size_t i = 0; i < level.size(); ++i) level[i] = std::min(halves[i], halves[i + width / 2], before);
    shortest_.push_back(std::move(level));
  }
}

size_t PrefixIndex::lower_bound(std::string_view text) const {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), text,
                                      [](const Entry& entry, std::string_view wanted) { return entry.text < wanted; });
  return static_cast<size_t>(found - entries_.begin());
}

size_t PrefixIndex::end_of_prefix(std::string_view prefix, size_t from) const {
  const auto found = std::partition_point(entries_.begin() + static_cast<std::ptrdiff_t>(from), entries_.end(),
                                          [&](const Entry& entry) { return entry.text.starts_with(prefix); });
  return static_cast<size_t>(found - entries_.begin());
}

size_t PrefixIndex::end_of_equals(std::string_view text, size_t from) const {
  while (from < entries_.size() && entries_[from].text == text) ++from;
  return from;
}

const PrefixIndex::Entry* PrefixIndex::shortest_in(size_t begin, size_t end) const {
  if (begin >= end) return nullptr;
  const auto level = static_cast<size_t>(std::bit_width(end - begin) - 1);
  const Entry& left = entries_[shortest_[level][begin]];
  const Entry& right = entries_[shortest_[level][end - (size_t{1} << level)]];
  return std::tie(left.length, left.id) < std::tie(right.length, right.id) ? &left : &right;
}

int32_t PrefixIndex::exact(std::string_view text) const {
  const size_t at = lower_bound(text);
  return at < entries_.size() && entries_[at].text == text ? entries_[at].id : -1;
}

int32_t PrefixIndex::nearest(std::string_view text) const {
  const auto length = static_cast<int32_t>(count_code_points(text));
  std::optional<Candidate> best;
  const auto offer = [&](Candidate candidate) {
    if (!best || candidate < *best) best = candidate;
  };
  // Texts that go on where this one ends: the shortest is the nearest. Those equal to it come first and are no
  // candidates.
  const size_t begin = end_of_equals(text, lower_bound(text));
  if (const Entry* longer = shortest_in(begin, end_of_prefix(text, begin)))
    offer({longer->length - length, longer->id});
  int32_t distance = 0;
  for (const auto prefix : prefixes_of(text)) {
    ++distance;
    if (const int32_t id = exact(prefix); id >= 0) {
      offer({distance, id});
      break;
    }
  }
  return best ? best->id : -1;
}

std::vector<int32_t> PrefixIndex::related(std::string_view text) const {
  std::vector<int32_t> ids;
  const auto take = [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; ++at) ids.push_back(entries_[at].id);
  };
  const size_t longer = end_of_equals(text, lower_bound(text));
  take(longer, end_of_prefix(text, longer));
  for (const auto prefix : prefixes_of(text)) {
    const size_t begin = lower_bound(prefix);
    take(begin, end_of_equals(prefix, begin));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<int32_t> PrefixIndex::beginning_with(std::string_view text) const {
  std::vector<int32_t> ids;
  if (text.empty()) return ids;
  const size_t begin = lower_bound(text), end = end_of_prefix(text, begin);
  for (size_t at = begin; at < end; ++at) ids.push_back(entries_[at].id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace cmc::token_map
