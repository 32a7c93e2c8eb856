#include "pipeline/token_map/edit_index.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "pipeline/core/utf8.hpp"

namespace cmc::token_map {
namespace {

std::u32string to_code_points(std::string_view text) {
  std::u32string points;
  for (size_t at = 0; at < text.size();) points.push_back(next_code_point(text, at));
  return points;
}

uint64_t letters_of(std::u32string_view text) {
  uint64_t letters = 0;
  for (const char32_t c : text) letters |= uint64_t{1} << (c % 64);
  return letters;
}

// Each letter that one text alone has costs an edit; a substitution settles one of either.
int64_t least_distance(uint64_t a, uint64_t b) {
  return std::max(std::popcount(a & ~b), std::popcount(b & ~a));
}

}  // namespace

int64_t edit_distance(std::u32string_view a, std::u32string_view b, int64_t most) {
  const auto width = static_cast<int64_t>(b.size());
  thread_local std::vector<int64_t> row;  // asked for millions of pairs
  row.resize(b.size() + 1);
  for (int64_t j = 0; j <= width; ++j) row[static_cast<size_t>(j)] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = row[0], least = ++row[0];
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, replaced});
      least = std::min(least, row[j + 1]);
    }
    if (least > most) return least;
  }
  return row[b.size()];
}

EditIndex::EditIndex(const std::vector<std::optional<std::string>>& texts) {
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!texts[id] || texts[id]->empty()) continue;
    auto text = to_code_points(*texts[id]);
    const uint64_t letters = letters_of(text);
    by_length_[std::ssize(text)].push_back({std::move(text), letters, static_cast<int32_t>(id)});
  }
}

int32_t EditIndex::nearest(std::string_view bytes) const {
  const auto text = to_code_points(bytes);
  const int64_t length = std::ssize(text);
  const uint64_t letters = letters_of(text);
  std::vector<int64_t> lengths;
  for (const auto& [each, entries] : by_length_) lengths.push_back(each);
  std::ranges::stable_sort(lengths, {}, [&](int64_t each) { return std::abs(each - length); });
  int32_t nearest = -1;
  int64_t best = 0;
  for (const int64_t other : lengths) {
    if (nearest >= 0 && std::abs(other - length) > best) break;
    for (const Entry& entry : by_length_.at(other)) {
      const int64_t most = nearest < 0 ? std::max(length, other) - 1 : best - (entry.id < nearest ? 0 : 1);
      if (least_distance(letters, entry.letters) > most) continue;
      const int64_t distance = edit_distance(text, entry.text, most);
      if (distance <= most) nearest = entry.id, best = distance;
    }
  }
  return nearest;
}

}  // namespace cmc::token_map
