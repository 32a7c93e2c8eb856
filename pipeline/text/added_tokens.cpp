#include "pipeline/text/added_tokens.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/tokenizer_file.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

bool starts_with_word(std::string_view text) {
  size_t at = 0;
  return !text.empty() && is_word(next_code_point(text, at));
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return is_word(next_code_point(text, at));
}

}  // namespace

AddedToken read_added_token(const Json& entry, const std::string& where) {
  AddedToken token;
  token.content = json_field<std::string>(entry, "content", where);
  token.special = json_field_or(entry, "special", false, where);
  token.normalized = json_field_or(entry, "normalized", !token.special, where);
  token.single_word = json_field_or(entry, "single_word", false, where);
  token.left_strip = json_field_or(entry, "lstrip", false, where);
  token.right_strip = json_field_or(entry, "rstrip", false, where);
  return token;
}

std::vector<std::pair<int32_t, AddedToken>> read_added_tokens(const Json& list, const std::string& where) {
  if (list.is_null()) return {};
  if (!list.is_array()) throw BadData({where, "is not a list", "see the tokenizers library's tokenizer.json"});
  std::vector<std::pair<int32_t, AddedToken>> tokens;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = where + "[" + std::to_string(i) + "]";
    const Json id = json_field<Json>(list[i], "id", at);
    if (!id.is_number_integer() || id < 0 || id > TokenizerFile::max_id)
      throw_bad_field(at, "id", "is out of range: " + id.dump());
    tokens.emplace_back(id.get<int32_t>(), read_added_token(list[i], at));
  }
  return tokens;
}

void AddedTokenMatcher::add(const AddedToken& token, int32_t id, std::string_view written, Matching matching) {
  uint32_t node = 0;
  for (const char c : written) {
    const uint64_t edge = static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(c);
    const auto [found, made] = edges_.emplace(edge, static_cast<uint32_t>(ends_.size()));
    if (made) ends_.emplace_back();
    node = found->second;
  }
  if (ends_[node].id < 0)
    ends_[node] = {id, token.single_word, token.left_strip, token.right_strip, matching == Matching::text};
  starts_[static_cast<unsigned char>(written[0])] = true;
}

const AddedTokenMatcher::Flags* AddedTokenMatcher::longest_at(std::string_view text, size_t at, size_t& end) const {
  const Flags* longest = nullptr;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto edge = edges_.find(static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (ends_[node].id >= 0) longest = &ends_[node], end = i + 1;
  }
  return longest;
}

std::vector<AddedTokenMatcher::Section> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<Section> sections;
  size_t done = 0;  // end of the last section
  for (size_t at = 0; at < text.size();) {
    size_t end = 0;
    const Flags* token = starts_[static_cast<unsigned char>(text[at])] ? longest_at(text, at, end) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    at = end;
    if (token->ignored) continue;
    if (token->single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
    if (token->left_strip) begin = std::max(strip_right(text.substr(0, begin), is_white_space).size(), done);
    if (token->right_strip) end = text.size() - strip_left(text.substr(end), is_white_space).size();
    if (begin > done) sections.push_back({text.substr(done, begin - done), -1});
    if (end <= begin) continue;  // the token before took all of it along
    sections.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) sections.push_back({text.substr(done), -1});
  return sections;
}

}  // namespace cmc::text
