#include "pipeline/metrics/porter_stemmer.hpp"

#include <array>
#include <span>
#include <utility>
#include <vector>

namespace cmc::metrics {
namespace {

bool is_vowel_letter(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

// y is a consonant at the start and after a vowel; digits count as consonants.
std::vector<bool> consonants(std::string_view word) {
  std::vector<bool> flags(word.size());
  for (size_t i = 0; i < word.size(); ++i)
    flags[i] = word[i] == 'y' ? (i == 0 || !flags[i - 1]) : !is_vowel_letter(word[i]);
  return flags;
}

// Porter's m: the number of changes from vowels to consonants.
int measure(std::string_view stem) {
  const auto flags = consonants(stem);
  int m = 0;
  for (size_t i = 1; i < flags.size(); ++i) m += !flags[i - 1] && flags[i];
  return m;
}

bool contains_vowel(std::string_view stem) {
  for (const bool consonant : consonants(stem))
    if (!consonant) return true;
  return false;
}

bool ends_in_double_consonant(std::string_view word) {
  const size_t n = word.size();
  return n >= 2 && word[n - 1] == word[n - 2] && consonants(word)[n - 1];
}

// *o: consonant, vowel, consonant other than w, x, y; or, in NLTK, a word of two letters, vowel and consonant.
bool ends_cvc(std::string_view word) {
  const auto c = consonants(word);
  const size_t n = word.size();
  if (n == 2) return !c[0] && c[1];
  if (n < 3) return false;
  const char last = word[n - 1];
  return c[n - 3] && !c[n - 2] && c[n - 1] && last != 'w' && last != 'x' && last != 'y';
}

std::string_view without(std::string_view word, std::string_view suffix) {
  return word.substr(0, word.size() - suffix.size());
}

std::string replaced(std::string_view word, std::string_view suffix, std::string_view replacement) {
  return std::string(without(word, suffix)) += replacement;
}

using Replacement = std::pair<std::string_view, std::string_view>;

// The first suffix that fits decides: it is replaced if its stem has more than `least` as measure, else nothing is.
std::string apply(std::string_view word, std::span<const Replacement> rules, int least) {
  for (const auto& [suffix, replacement] : rules) {
    if (!word.ends_with(suffix)) continue;
    return measure(without(word, suffix)) > least ? replaced(word, suffix, replacement) : std::string(word);
  }
  return std::string(word);
}

std::string step_1a(std::string_view word) {
  if (word.ends_with("ies")) return replaced(word, "ies", word.size() == 4 ? "ie" : "i");
  if (word.ends_with("sses")) return replaced(word, "sses", "ss");
  if (word.ends_with("ss") || !word.ends_with("s")) return std::string(word);
  return replaced(word, "s", "");
}

// What remains after -ed or -ing is mended: conflat(ed) -> conflate, hopp(ing) -> hop, fil(ing) -> file.
std::string mended(std::string_view stem) {
  if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz")) return std::string(stem) += 'e';
  if (ends_in_double_consonant(stem)) {
    const char last = stem.back();
    return std::string(last == 'l' || last == 's' || last == 'z' ? stem : stem.substr(0, stem.size() - 1));
  }
  if (measure(stem) == 1 && ends_cvc(stem)) return std::string(stem) += 'e';
  return std::string(stem);
}

std::string step_1b(std::string_view word) {
  if (word.ends_with("ied")) return replaced(word, "ied", word.size() == 4 ? "ie" : "i");
  if (word.ends_with("eed")) return measure(without(word, "eed")) > 0 ? replaced(word, "eed", "ee") : std::string(word);
  for (const std::string_view suffix : {"ed", "ing"})
    if (word.ends_with(suffix) && contains_vowel(without(word, suffix))) return mended(without(word, suffix));
  return std::string(word);
}

std::string step_1c(std::string_view word) {
  if (!word.ends_with("y") || word.size() < 3 || !consonants(word)[word.size() - 2]) return std::string(word);
  return replaced(word, "y", "i");
}

constexpr std::array<Replacement, 21> step_2_rules = {
    {{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
     {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
     {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
     {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
     {"fulli", "ful"}}};

std::string step_2(std::string_view word) {
  if (word.ends_with("alli") && measure(without(word, "alli")) > 0) return step_2(replaced(word, "alli", "al"));
  // NLTK leaves the l with the stem, so that "geology" and "archaeology" are treated alike.
  if (word.ends_with("logi"))
    return measure(without(word, "ogi")) > 0 ? replaced(word, "logi", "log") : std::string(word);
  return apply(word, step_2_rules, 0);
}

constexpr std::array<Replacement, 7> step_3_rules = {
    {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}}};

constexpr std::array<Replacement, 18> step_4_rules = {{{"al", ""},
                                                       {"ance", ""},
                                                       {"ence", ""},
                                                       {"er", ""},
                                                       {"ic", ""},
                                                       {"able", ""},
                                                       {"ible", ""},
                                                       {"ant", ""},
                                                       {"ement", ""},
                                                       {"ment", ""},
                                                       {"ent", ""},
                                                       {"ou", ""},
                                                       {"ism", ""},
                                                       {"ate", ""},
                                                       {"iti", ""},
                                                       {"ous", ""},
                                                       {"ive", ""},
                                                       {"ize", ""}}};

std::string step_4(std::string_view word) {
  if (!word.ends_with("ion")) return apply(word, step_4_rules, 1);
  const auto stem = without(word, "ion");
  return std::string(measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't') ? stem : word);
}

std::string step_5(std::string word) {
  if (word.ends_with("e")) {
    const auto stem = without(word, "e");
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_cvc(stem))) word.pop_back();
  }
  if (word.ends_with("ll") && measure(without(word, "l")) > 1) word.pop_back();
  return word;
}

// NLTK's table of irregular forms.
constexpr std::array<Replacement, 13> irregular = {{{"sky", "sky"},
                                                    {"skies", "sky"},
                                                    {"dying", "die"},
                                                    {"lying", "lie"},
                                                    {"tying", "tie"},
                                                    {"news", "news"},
                                                    {"innings", "inning"},
                                                    {"inning", "inning"},
                                                    {"outings", "outing"},
                                                    {"outing", "outing"},
                                                    {"cannings", "canning"},
                                                    {"canning", "canning"},
                                                    {"howe", "howe"}}};
constexpr std::array<std::string_view, 3> invariant = {"proceed", "exceed", "succeed"};

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : irregular)
    if (word == form) return std::string(stem);
  for (const auto form : invariant)
    if (word == form) return std::string(word);
  if (word.size() <= 2) return std::string(word);
  const std::string inflected = step_1c(step_1b(step_1a(word)));
  return step_5(step_4(apply(step_2(inflected), step_3_rules, 0)));
}

}  // namespace cmc::metrics
