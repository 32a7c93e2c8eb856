#include "pipeline/text/normalizer.hpp"

#include <map>
#include <memory>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/base64.hpp"
#include "pipeline/text/byte_level.hpp"
#include "pipeline/text/character_map.hpp"
#include "pipeline/text/pattern.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

using Reader = Normalizer (*)(const Json&, const std::string&);

Normalizer sequence(const Json& description, const std::string& where) {
  const auto parts = json_field<Json::array_t>(description, "normalizers", where);
  std::vector<Normalizer> steps;
  for (size_t i = 0; i < parts.size(); ++i)
    steps.push_back(read_normalizer(parts[i], where + ".normalizers[" + std::to_string(i) + "]"));
  return [steps](std::string& text) {
    for (const auto& step : steps) step(text);
  };
}

Normalizer prepend(const Json& description, const std::string& where) {
  const auto prefix = json_field<std::string>(description, "prepend", where);
  return [prefix](std::string& text) {
    if (!text.empty()) text.insert(0, prefix);
  };
}

Normalizer replace(const Json& description, const std::string& where) {
  const Pattern pattern(json_field<Json>(description, "pattern", where), where + ".pattern");
  const auto content = json_field<std::string>(description, "content", where);
  return [pattern, content](std::string& text) { text = pattern.replace_all(text, content); };
}

Normalizer strip(const Json& description, const std::string& where) {
  const bool left = json_field_or(description, "strip_left", true, where);
  const bool right = json_field_or(description, "strip_right", true, where);
  return [left, right](std::string& text) {
    std::string_view rest = text;
    if (left) rest = strip_left(rest, is_white_space);
    if (right) rest = strip_right(rest, is_white_space);
    text = std::string(rest);
  };
}

Normalizer lowercase(const Json&, const std::string&) {
  return [](std::string& text) {
    std::string lower;
    for (size_t at = 0; at < text.size();) append_lower(lower, next_code_point(text, at));
    text = std::move(lower);
  };
}

Normalizer byte_level(const Json&, const std::string&) {
  return [](std::string& text) {
    std::string written;
    append_byte_level(written, text);
    text = std::move(written);
  };
}

Normalizer precompiled(const Json& description, const std::string& where) {
  const auto bytes = bytes_of_base64(json_field<std::string>(description, "precompiled_charsmap", where));
  if (!bytes) throw_bad_field(where, "precompiled_charsmap", "is not base64");
  const auto map = std::make_shared<const CharacterMap>(*bytes, where + ".precompiled_charsmap");
  return [map](std::string& text) { text = map->normalized(text); };
}

// Google's rules for neural machine translation (sentencepiece's "nmt"): control characters go, odd spaces are spaces
Normalizer nmt(const Json&, const std::string&) {
  return [](std::string& text) {
    std::string made;
    for (size_t at = 0; at < text.size();) {
      const char32_t c = next_code_point(text, at);
      const bool control =
          (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                         c == 0xFFFD;
      if (!control) append_utf8(made, space ? U' ' : c);
    }
    text = std::move(made);
  };
}

template <NormalForm form>
Normalizer normal_form(const Json&, const std::string&) {
  return [](std::string& text) { text = normalized(text, form); };
}

const std::map<std::string, Reader>& readers() {
  static const std::map<std::string, Reader> known = {
      {"Sequence", sequence},
      {"Prepend", prepend},
      {"Replace", replace},
      {"Strip", strip},
      {"Lowercase", lowercase},
      {"Precompiled", precompiled},
      {"Nmt", nmt},
      {"ByteLevel", byte_level},
      {"NFC", normal_form<NormalForm::nfc>},
      {"NFD", normal_form<NormalForm::nfd>},
      {"NFKC", normal_form<NormalForm::nfkc>},
      {"NFKD", normal_form<NormalForm::nfkd>},
  };
  return known;
}

}  // namespace

Normalizer read_normalizer(const Json& description, const std::string& where) {
  if (description.is_null()) return [](std::string&) {};
  const auto type = json_field<std::string>(description, "type", where);
  const auto reader = readers().find(type);
  if (reader == readers().end())
    throw BadData(
        {where + ".type", "is \"" + type + "\", a normalizer this reader does not know",
         "known are Sequence, Prepend, Replace, Strip, Lowercase, Precompiled, Nmt, ByteLevel, NFC, NFD, NFKC, NFKD"});
  return reader->second(description, where);
}

}  // namespace cmc::text
