// The language of a response. The authors ask langdetect, whose models are for long texts: for a few words, or
// capitals, it often finds another language than CLD2.
#include "pipeline/ifeval/language.hpp"

#include <cstdio>  // CLD2's header needs it

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

#include <algorithm>
#include <array>
#include <limits>

#include "pipeline/ifeval/rule.hpp"

namespace cmc::ifeval {
namespace {

// CLD2's flag kCLDFlagBestEffort, which its public header describes but does not name: short texts get an answer.
constexpr int best_effort = 0x4000;

struct LanguageName {
  std::string_view cld2, langdetect;
};
constexpr std::array renamed = {LanguageName{"iw", "he"}, LanguageName{"zh", "zh-cn"}, LanguageName{"zh-Hant", "zh-tw"},
                                LanguageName{"jw", "jv"}};

}  // namespace

std::string language_of(std::string_view text) {
  CLD2::CLDHints hints{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  CLD2::Language languages[3];
  int percent[3], letters = 0;
  double scores[3];
  bool is_reliable = false;
  const auto size = static_cast<int>(std::min(text.size(), size_t{std::numeric_limits<int>::max()}));
  const auto found = CLD2::ExtDetectLanguageSummary(text.data(), size, true, &hints, best_effort, languages, percent,
                                                    scores, nullptr, &letters, &is_reliable);
  if (letters == 0) return "";
  const std::string name = CLD2::LanguageCode(found);
  const auto other = std::ranges::find(renamed, name, &LanguageName::cld2);
  return other == renamed.end() ? name : std::string(other->langdetect);
}

bool is_in_language(std::string_view text, const std::string& language) {
  const std::string found = language_of(text);
  return found.empty() || found == language;
}

Check response_language(const Kwargs& kwargs) {
  return [language = kwargs.text("language")](std::string_view response) { return is_in_language(response, language); };
}

}  // namespace cmc::ifeval
