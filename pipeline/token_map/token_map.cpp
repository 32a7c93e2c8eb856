#include "pipeline/token_map/token_map.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/token_map/edit_index.hpp"
#include "pipeline/token_map/prefix_index.hpp"

namespace cmc::token_map {
namespace {
constexpr NamedEnum methods("token map method", std::to_array<Named<Method>>({{Method::pm_mined, "pm_mined"},
                                                                              {Method::exact_only, "exact_only"},
                                                                              {Method::one_to_many, "one_to_many"},
                                                                              {Method::min_ed, "min_ed"},
                                                                              {Method::prefix_sum, "prefix_sum"}}));
constexpr NamedEnum compats("token map compat", std::to_array<Named<Compat>>({{Compat::corrected, "corrected"},
                                                                              {Compat::authors, "authors"}}));

using text::Tokenizer;
using text::TokenizerKind;
using text::TokenKind;
using text::VocabularyEntry;

// The one written form of both kinds of vocabulary: U+2581, which SentencePiece writes for a space, is a space.
std::string written(const std::string& bytes) {
  std::string form = bytes;
  for (size_t at = form.find("\u2581"); at != std::string::npos; at = form.find("\u2581", at)) form.replace(at, 3, " ");
  return form;
}

// What the published code takes for special, between two SentencePiece vocabularies: "<" and ">" around anything.
bool in_angle_brackets(const std::string& piece) {
  return piece.size() >= 3 && piece.front() == '<' && piece.back() == '>';
}

std::vector<std::optional<std::string>> texts_of(const Tokenizer& delta, bool with_marks) {
  std::vector<std::optional<std::string>> texts;
  for (const auto& entry : delta.vocabulary()) {
    if (entry.kind == TokenKind::text)
      texts.emplace_back(written(entry.bytes));
    else if (with_marks && entry.kind != TokenKind::unused)
      texts.emplace_back(entry.piece);
    else
      texts.emplace_back();
  }
  return texts;
}

class Mapper {
 public:
  Mapper(const Tokenizer& base, const Tokenizer& delta, Method method, Compat compat)
      : base_(base),
        delta_(delta),
        method_(method),
        same_kind_(base.kind() == delta.kind()),
        published_(compat == Compat::authors && same_kind_ && base.kind() == TokenizerKind::sentencepiece),
        index_(texts_of(delta, published_)) {
    if (method == Method::min_ed) edits_.emplace(texts_of(delta, published_));
    byte_ids_.fill(-1);
    for (int32_t id = 0; id < delta.size(); ++id) note(id, delta.vocabulary()[static_cast<size_t>(id)]);
  }

  std::pair<int32_t, Match> map(int32_t id) const {
    const auto& entry = base_.vocabulary()[static_cast<size_t>(id)];
    if (entry.kind == TokenKind::unused) return {-1, Match::unmapped};
    if (published_ && in_angle_brackets(entry.piece)) return found(id < delta_.size() ? id : -1);
    switch (entry.kind) {
      case TokenKind::special:
        return found(special_of(id, entry));
      case TokenKind::byte:
        return found(byte_of(entry.bytes));
      case TokenKind::partial:
        return found(part_of(entry.bytes));
      default:
        return text_of(entry.bytes);
    }
  }

  // Everything that may stand for a token that map() sent to `found`, ascending.
  std::vector<int32_t> candidates(int32_t id, std::pair<int32_t, Match> found) const {
    const auto& entry = base_.vocabulary()[static_cast<size_t>(id)];
    if (method_ == Method::prefix_sum && entry.kind == TokenKind::text) return longer_or(found, written(entry.bytes));
    if (found.second == Match::inexact) return index_.related(written(entry.bytes));
    return found.first >= 0 ? std::vector{found.first} : std::vector<int32_t>();
  }

 private:
  // Of tokens that begin with `form`, an identical one that is no text too (a byte); without any the nearest.
  std::vector<int32_t> longer_or(std::pair<int32_t, Match> found, const std::string& form) const {
    auto ids = index_.beginning_with(form);
    const bool apart = found.second == Match::exact && !std::ranges::binary_search(ids, found.first);
    if (apart || (ids.empty() && found.first >= 0)) ids.insert(std::ranges::lower_bound(ids, found.first), found.first);
    return ids;
  }

  static std::pair<int32_t, Match> found(int32_t id) { return {id, id >= 0 ? Match::exact : Match::unmapped}; }

  void note(int32_t id, const VocabularyEntry& entry) {
    if (entry.kind == TokenKind::special) special_.emplace(entry.piece, id);
    if (entry.kind == TokenKind::partial) parts_.emplace(entry.bytes, id);
    if (entry.kind == TokenKind::byte || entry.kind == TokenKind::partial)
      if (entry.bytes.size() == 1) claim(entry.bytes, id);
  }

  void claim(const std::string& byte, int32_t id) {
    int32_t& place = byte_ids_[static_cast<unsigned char>(byte[0])];
    if (place < 0) place = id;
  }

  int32_t special_of(int32_t id, const VocabularyEntry& entry) const {
    const auto& from = base_.special();
    const auto& to = delta_.special();
    const std::array<std::pair<int32_t, int32_t>, 4> roles{
        {{from.begin, to.begin}, {from.end, to.end}, {from.unknown, to.unknown}, {from.padding, to.padding}}};
    for (const auto& [ours, theirs] : roles)
      if (ours == id && theirs >= 0) return theirs;
    const auto same = special_.find(entry.piece);
    return same == special_.end() ? -1 : same->second;
  }

  // A byte token stands for its byte, whether the other vocabulary has a token for bytes or an ASCII character.
  int32_t byte_of(const std::string& byte) const {
    const int32_t id = byte_ids_[static_cast<unsigned char>(byte[0])];
    return id >= 0 ? id : index_.exact(byte);
  }

  int32_t part_of(const std::string& bytes) const {
    if (bytes.size() == 1) return byte_ids_[static_cast<unsigned char>(bytes[0])];
    const auto same = parts_.find(bytes);
    return same == parts_.end() ? -1 : same->second;
  }

  std::pair<int32_t, Match> text_of(const std::string& bytes) const {
    const std::string form = written(bytes);
    if (form.empty()) return {-1, Match::unmapped};
    if (const int32_t id = index_.exact(form); id >= 0) return {id, Match::exact};
    if (form.size() == 1 && !same_kind_ && byte_ids_[static_cast<unsigned char>(form[0])] >= 0)
      return {byte_ids_[static_cast<unsigned char>(form[0])], Match::exact};
    const int32_t id = nearest(form);
    return {id, id >= 0 ? Match::inexact : Match::unmapped};
  }

  int32_t nearest(const std::string& form) const {
    if (method_ == Method::exact_only) return -1;
    return edits_ ? edits_->nearest(form) : index_.nearest(form);
  }

  const Tokenizer& base_;
  const Tokenizer& delta_;
  Method method_;
  bool same_kind_;  // then a character without a token of its own is left to PM-MinED, as published
  bool published_;
  PrefixIndex index_;
  std::optional<EditIndex> edits_;                            // of min_ed
  std::unordered_map<std::string, int32_t> special_, parts_;  // delta's, by piece and by bytes
  std::array<int32_t, 256> byte_ids_{};                       // delta's single-byte tokens that are no text; -1: none
};

bool same_entry(const VocabularyEntry& a, const VocabularyEntry& b) {
  return a.kind == b.kind && a.piece == b.piece;
}

void count(Coverage& counts, Match match) {
  counts.exact += match == Match::exact;
  counts.inexact += match == Match::inexact;
  counts.unmapped += match == Match::unmapped;
}

}  // namespace

Coverage coverage(const TokenMap& map) {
  Coverage counts;
  for (const Match match : map.match) count(counts, match);
  return counts;
}

Coverage coverage_in_use(const TokenMap& map, std::span<const int32_t> base_tokens) {
  Coverage counts;
  for (const int32_t token : base_tokens) count(counts, map.match.at(static_cast<size_t>(token)));
  return counts;
}

Method method_named(std::string_view name) {
  return methods.named<Usage>(name);
}

Pooling pooling_of(Method method) {
  return method == Method::prefix_sum ? Pooling::log_sum : Pooling::maximum;
}

Compat compat_named(std::string_view name) {
  return compats.named<Usage>(name);
}

TokenMap make_token_map(const Tokenizer& base, const Tokenizer& delta, Method method, Compat compat) {
  const Mapper mapper(base, delta, method, compat);
  TokenMap made;
  made.delta_size = delta.size();
  made.ids.reserve(static_cast<size_t>(base.size()));
  made.match.reserve(static_cast<size_t>(base.size()));
  made.pooling = pooling_of(method);
  const bool lists = method == Method::one_to_many || method == Method::prefix_sum;
  if (lists) made.offsets.push_back(0);
  for (int32_t id = 0; id < base.size(); ++id) {
    const auto found = mapper.map(id);
    made.ids.push_back({found.first});
    made.match.push_back(found.second);
    if (!lists) continue;
    for (const int32_t candidate : mapper.candidates(id, found)) made.candidates.push_back({candidate});
    made.offsets.push_back(std::ssize(made.candidates));
  }
  return made;
}

bool same_vocabulary(const Tokenizer& a, const Tokenizer& b) {
  return std::equal(a.vocabulary().begin(), a.vocabulary().end(), b.vocabulary().begin(), b.vocabulary().end(),
                    same_entry);
}

std::string first_differences(const Tokenizer& a, const Tokenizer& b, int at_most) {
  std::string differences;
  int count = 0;
  for (int32_t id = 0; id < std::max(a.size(), b.size()) && count < at_most; ++id) {
    const auto piece_of = [&](const Tokenizer& of) {
      return id < of.size() ? "\"" + of.vocabulary()[static_cast<size_t>(id)].piece + "\"" : std::string("none");
    };
    const auto at = static_cast<size_t>(id);
    if (id < a.size() && id < b.size() && same_entry(a.vocabulary()[at], b.vocabulary()[at])) continue;
    differences += (count++ > 0 ? ", " : "") + std::to_string(id) + " " + piece_of(a) + " / " + piece_of(b);
  }
  return differences;
}

}  // namespace cmc::token_map
