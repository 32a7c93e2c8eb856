#pragma once
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/range.hpp"
#include "pipeline/records/fields.hpp"

// One key of an experiment file: what it may hold, and what people read of it.
namespace cmc::stages {

// What `cmc keys` says of a key beside its type and default.
struct Help {
  std::string_view text;  // with unit and source
  std::vector<std::string_view> choices =
      {};  // of the value, or of each item of a list; empty: any (enums: their names)
  bool required = false;
  Range range = {};  // of a number, or of each in a list

  Help(const char* text) : text(text) {}
  Help(const char* text, std::vector<std::string_view> choices) : text(text), choices(std::move(choices)) {}

  Help within(const Range& numbers) const {
    Help help = *this;
    help.range = numbers;
    return help;
  }
  Help from(double least) const { return within({.least = least}); }
  Help from(double least, double most) const { return within({.least = least, .most = most}); }
  Help above(double least) const { return within({.least = least, .above_least = true}); }
};
inline Help required(const char* text) {
  Help help(text);
  help.required = true;
  return help;
}

// The range of a key that holds T: a whole number counts something where its key says nothing else.
template <class T>
Range range_of(const Help& help) {
  const bool counts = std::is_same_v<T, int64_t> && help.range.least < 0 && help.range.most > 1e18;
  return counts ? Range{.least = 0, .most = 1e9} : help.range;
}
template <class T>
Range range_of_items(const Help& help) {
  if constexpr (requires { typename T::value_type; })
    return range_of<typename T::value_type>(help);
  else
    return range_of<T>(help);
}

template <class T>
concept Section = requires(T& section) {
  T::fields(section, [](const char*, auto&, const Help&) {});
};

// A text that may begin or end with white space and hold line ends and marks of the file's own, by escapes: \n, \t, \r,
// \s (a space), \\, \uXXXX (a code point).
struct EscapedText {
  std::string text;
};

// Two models whose logit shifts are compared, on texts of the first: "reference:other".
struct ModelPair {
  std::string reference, other;
};

// A value as an experiment file writes it, and what kind of value it is. parse: whether `text` is one, which is then in
// `value`.
std::string text_of(const std::string& value);
std::string text_of(const std::filesystem::path& value);
std::string text_of(const EscapedText& value);
std::string text_of(const ModelPair& value);
std::string text_of(int64_t value);
std::string text_of(double value);
std::string text_of(bool value);
bool parse(const std::string& text, std::string& value);
bool parse(const std::string& text, std::filesystem::path& value);
bool parse(const std::string& text, EscapedText& value);
bool parse(const std::string& text, ModelPair& value);
bool parse(const std::string& text, int64_t& value);
bool parse(const std::string& text, double& value);
bool parse(const std::string& text, bool& value);
std::string_view kind_of(const std::string& value);  // "text"
std::string_view kind_of(const std::filesystem::path& value);
std::string_view kind_of(const EscapedText& value);
std::string_view kind_of(const ModelPair& value);
std::string_view kind_of(int64_t value);
std::string_view kind_of(double value);
std::string_view kind_of(bool value);

std::string trimmed(const std::string& text);
std::vector<std::string> split(const std::string& text);  // at commas, trimmed, without empty items

template <records::HasNames E>
std::string text_of(E value) {
  return std::string(records::name_of(value));
}
template <records::HasNames E>
bool parse(const std::string& text, E& value) {
  const auto found = records::find_named<E>(text);
  if (found) value = *found;
  return found.has_value();
}
template <records::HasNames E>
std::string_view kind_of(E) {
  return "text";
}

template <class T>
std::string text_of(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) (text += text.empty() ? "" : ", ") += text_of(value);
  return text;
}
template <class T>
std::string_view kind_of(const std::vector<T>&) {
  return std::is_same_v<T, double> ? "numbers" : std::is_same_v<T, int64_t> ? "whole numbers" : "list";
}

// The choices of a key that says none itself: the names of its enum.
template <class T>
struct Choices {
  static std::vector<std::string_view> names() { return {}; }
};
template <records::HasNames E>
struct Choices<E> {
  static std::vector<std::string_view> names() { return records::names_of<E>(); }
};
template <class T>
struct Choices<std::vector<T>> : Choices<T> {};

}  // namespace cmc::stages
