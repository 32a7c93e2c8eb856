#include "pipeline/text/property_members.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <vector>

#include "pipeline/text/newer_unicode.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

std::string key_of(const std::string& name) {
  std::string key;
  for (const char c : name)
    if (c != ' ' && c != '_' && c != '-') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

const std::map<std::string, std::string>& long_names() {
  static const std::map<std::string, std::string> names = {{"letter", "l"},
                                                           {"uppercaseletter", "lu"},
                                                           {"lowercaseletter", "ll"},
                                                           {"titlecaseletter", "lt"},
                                                           {"modifierletter", "lm"},
                                                           {"otherletter", "lo"},
                                                           {"mark", "m"},
                                                           {"combiningmark", "m"},
                                                           {"nonspacingmark", "mn"},
                                                           {"spacingmark", "mc"},
                                                           {"enclosingmark", "me"},
                                                           {"number", "n"},
                                                           {"decimalnumber", "nd"},
                                                           {"letternumber", "nl"},
                                                           {"othernumber", "no"},
                                                           {"punctuation", "p"},
                                                           {"connectorpunctuation", "pc"},
                                                           {"dashpunctuation", "pd"},
                                                           {"openpunctuation", "ps"},
                                                           {"closepunctuation", "pe"},
                                                           {"initialpunctuation", "pi"},
                                                           {"finalpunctuation", "pf"},
                                                           {"otherpunctuation", "po"},
                                                           {"symbol", "s"},
                                                           {"mathsymbol", "sm"},
                                                           {"currencysymbol", "sc"},
                                                           {"modifiersymbol", "sk"},
                                                           {"othersymbol", "so"},
                                                           {"separator", "z"},
                                                           {"spaceseparator", "zs"},
                                                           {"lineseparator", "zl"},
                                                           {"paragraphseparator", "zp"},
                                                           {"other", "c"},
                                                           {"control", "cc"},
                                                           {"cntrl", "cc"},
                                                           {"format", "cf"},
                                                           {"privateuse", "co"},
                                                           {"unassigned", "cn"},
                                                           {"digit", "nd"},
                                                           {"alpha", "alphabetic"},
                                                           {"upper", "uppercase"},
                                                           {"lower", "lowercase"},
                                                           {"space", "whitespace"},
                                                           {"hani", "han"},
                                                           {"hira", "hiragana"},
                                                           {"kana", "katakana"},
                                                           {"hang", "hangul"},
                                                           {"latn", "latin"},
                                                           {"cyrl", "cyrillic"},
                                                           {"grek", "greek"},
                                                           {"arab", "arabic"},
                                                           {"hebr", "hebrew"},
                                                           {"deva", "devanagari"},
                                                           {"beng", "bengali"},
                                                           {"taml", "tamil"},
                                                           {"bopo", "bopomofo"},
                                                           {"zyyy", "common"},
                                                           {"zinh", "inherited"}};
  return names;
}

const std::map<std::string, std::string>& tabled() {
  static const std::map<std::string, std::string> members = [] {
    std::map<std::string, std::string> of;
    for (const auto& property : unicode_properties()) of[key_of(property.name)] = property.base + property.newer;
    return of;
  }();
  return members;
}

// The general categories that make up all code points but the unassigned ones.
const std::vector<std::string>& categories() {
  static const std::vector<std::string> names = {"lu", "ll", "lt", "lm", "lo", "mn", "mc", "me", "nd", "nl",
                                                 "no", "pc", "pd", "ps", "pe", "pi", "pf", "po", "sm", "sc",
                                                 "sk", "so", "zs", "zl", "zp", "cc", "cf", "co"};
  return names;
}

// Code points that are unassigned also in the newer Unicode: what is left when all others are taken away.
const std::string& unassigned() {
  static const std::string members = [] {
    std::string newer;
    for (const auto& name : categories()) newer += tabled().at(name);
    return unassigned_without(newer);
  }();
  return members;
}

}  // namespace

std::optional<std::string> members_of_property(const std::string& name) {
  std::string key = key_of(name);
  if (const auto named = long_names().find(key); named != long_names().end()) key = named->second;
  if (key == "any") return "\\x{0}-\\x{10FFFF}";
  if (key == "cn") return unassigned();
  if (key == "c") return tabled().at("cc") + tabled().at("cf") + tabled().at("co") + unassigned();
  if (key == "alnum") return tabled().at("alphabetic") + tabled().at("nd");
  if (key == "punct") key = "p";
  const auto found = tabled().find(key);
  return found == tabled().end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> members_outside_property(const std::string& name) {
  std::string key = key_of(name);
  if (const auto named = long_names().find(key); named != long_names().end()) key = named->second;
  const auto& all = categories();
  const bool known = key == "c" || key == "cn" || std::any_of(all.begin(), all.end(), [&](const auto& category) {
                       return category == key || category.substr(0, 1) == key;
                     });
  if (!known) return std::nullopt;
  std::string members;
  for (const auto& category : all)
    if (category != key && category.substr(0, 1) != key) members += tabled().at(category);
  if (key != "cn" && key != "c") members += unassigned();
  return members;
}

}  // namespace cmc::text
