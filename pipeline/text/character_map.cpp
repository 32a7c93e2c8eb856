#include "pipeline/text/character_map.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

// Darts-clone's units (Yata 2008)
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t value_of(uint32_t unit) {
  return unit & 0x7FFFFFFF;
}
uint32_t label_of(uint32_t unit) {
  return unit & 0x800000FF;
}
uint32_t offset_of(uint32_t unit) {
  return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

constexpr size_t longest_whole = 5;  // bytes of a cluster that is looked up as a whole

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes, const std::string& where) {
  const auto refuse = [&] { throw BadData({where, "is no character map of SentencePiece", "fetch the file again"}); };
  if (bytes.size() < 4) refuse();
  const size_t trie = little_endian(bytes);
  if (trie % 4 != 0 || trie == 0 || trie > bytes.size() - 4) refuse();
  for (size_t at = 4; at < 4 + trie; at += 4) units_.push_back(little_endian(bytes.substr(at, 4)));
  texts_ = bytes.substr(4 + trie);
  if (!is_valid_utf8(texts_)) refuse();
}

const char* CharacterMap::find(std::string_view text) const {
  size_t at = offset_of(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    at ^= byte;
    if (at >= units_.size() || label_of(units_[at]) != byte) return nullptr;
    const uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    const size_t value = at < units_.size() ? value_of(units_[at]) : texts_.size();
    return value < texts_.size() ? texts_.c_str() + value : nullptr;
  }
  return nullptr;
}

std::string CharacterMap::normalized(std::string_view text) const {
  std::string made;
  for (size_t at = 0; at < text.size();) {
    const auto cluster = text.substr(at, grapheme_cluster(text.substr(at)));
    at += cluster.size();
    if (const char* whole = cluster.size() <= longest_whole ? find(cluster) : nullptr) {
      made += whole;
      continue;
    }
    for (size_t in = 0; in < cluster.size();) {
      const size_t begin = in;
      next_code_point(cluster, in);
      const auto character = cluster.substr(begin, in - begin);
      if (const char* mapped = find(character))
        made += mapped;
      else
        made += character;
    }
  }
  return made;
}

}  // namespace cmc::text
