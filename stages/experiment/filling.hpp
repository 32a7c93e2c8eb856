#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "stages/experiment/setting.hpp"

// Puts what an experiment file says into the members of its sections, each checked by what the section's list says.
namespace cmc::stages {

// The names users gave to a starred section, e.g. the models.
inline std::set<std::string> names_in(const std::map<std::string, std::string>& values, const std::string& section) {
  std::set<std::string> names;
  for (const auto& [key, value] : values)
    if (key.starts_with(section + "."))
      if (const auto end = key.find('.', section.size() + 1); end != std::string::npos)
        names.insert(key.substr(section.size() + 1, end - section.size() - 1));
  return names;
}

inline std::string list_of(const std::vector<std::string_view>& names) {
  std::string list;
  for (const auto name : names) (list += list.empty() ? "" : ", ") += name;
  return list;
}

// A visitor of Settings::fields. What `values` ("section.key" → value) do not say keeps its default. fail(key, what,
// remedy) throws.
template <class Fail>
struct Filler {
  const std::map<std::string, std::string>& values;
  const Fail& fail;

  template <Section S>
  void operator()(const std::string& name, S& section) const {
    S::fields(section, [&](const char* key, auto& member, const Help& help) { value(name + "." + key, member, help); });
  }
  template <Section S>
  void operator()(const std::string& name, std::map<std::string, S>& sections) const {
    for (const auto& given : names_in(values, name)) (*this)(name + "." + given, sections[given]);
  }

 private:
  template <class T>
  void value(const std::string& key, T& member, const Help& help) const {
    const auto found = values.find(key);
    if (found == values.end() || found->second.empty()) {
      if (help.required) fail(key, "is missing", std::string(help.text));
      return;
    }
    if constexpr (requires { member.emplace_back(); })
      all(key, found->second, member, help);
    else
      one(key, found->second, member, help);
  }

  template <class T>
  void all(const std::string& key, const std::string& text, std::vector<T>& members, const Help& help) const {
    members.clear();
    std::set<std::string> known;
    for (const auto& item : split(text)) {
      one(key, item, members.emplace_back(), help);
      if (!known.insert(text_of(members.back())).second) fail(key, "holds " + item + " twice", "name each once");
    }
    if (members.empty()) fail(key, "is " + text + ", a list of nothing", "give one value, or several with commas");
  }

  template <class T>
  void one(const std::string& key, const std::string& text, T& member, const Help& help) const {
    const auto choices = help.choices.empty() ? Choices<T>::names() : help.choices;
    if (!choices.empty() && !std::ranges::count(choices, text)) fail(key, "is " + text, "known: " + list_of(choices));
    const Range range = range_of<T>(help);
    const std::string kind(kind_of(member)), allowed = text_of(range);
    const std::string remedy = "give a " + kind + (allowed.empty() ? "" : " " + allowed);
    if (!parse(text, member)) fail(key, "is " + text + ", not a " + kind, remedy);
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
      if (!range.holds(static_cast<double>(member))) fail(key, "is " + text, remedy);
  }
};

// A visitor of Settings::fields that finds the key of the member at `address`.
struct KeyFinder {
  const void* address;
  std::string& found;

  template <Section S>
  void operator()(const std::string& name, const S& section) const {
    S::fields(section, [&](const char* key, const auto& member, const Help&) {
      if (static_cast<const void*>(&member) == address) found = name + "." + key;
    });
  }
  template <Section S>
  void operator()(const std::string& name, const std::map<std::string, S>& sections) const {
    for (const auto& [given, section] : sections) (*this)(name + "." + given, section);
  }
};

}  // namespace cmc::stages
