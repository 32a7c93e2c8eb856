#include "stages/experiment/setting.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "pipeline/core/utf8.hpp"

namespace cmc::stages {
namespace {

// Whether the whole text is one value of T.
template <class T>
bool parse_number(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// The escape whose letter stands at `at`, of which nothing is left then; false: there is none.
bool add_escaped(const std::string& text, size_t& at, std::string& value) {
  constexpr std::string_view letters = "ntrs\\", meant = "\n\t\r \\";
  if (at >= text.size()) return false;
  const char letter = text[at++];
  if (const size_t known = letters.find(letter); known != std::string_view::npos) return value += meant[known], true;
  uint32_t code = 0;
  if (letter != 'u' || at + 4 > text.size()) return false;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 4, code, 16);
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (error != std::errc() || end != text.data() + at + 4 || code == 0 || surrogate) return false;
  append_utf8(value, static_cast<char32_t>(code));
  at += 4;
  return true;
}

}  // namespace

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');)
    if (auto item = trimmed(part); !item.empty()) items.push_back(item);
  return items;
}

std::string text_of(const std::string& value) {
  return value;
}
std::string text_of(const std::filesystem::path& value) {
  return value.string();
}
std::string text_of(const EscapedText& value) {
  std::string text;
  for (const char letter : value.text) {
    constexpr std::string_view letters = "ntrs\\", meant = "\n\t\r \\";
    const size_t escape = meant.find(letter);
    if (escape != std::string_view::npos)
      (text += '\\') += letters[escape];
    else
      text += letter;
  }
  return text;
}
std::string text_of(const ModelPair& value) {
  return value.reference + ":" + value.other;
}
std::string text_of(int64_t value) {
  return std::to_string(value);
}
std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}
std::string text_of(bool value) {
  return value ? "yes" : "no";
}

bool parse(const std::string& text, std::string& value) {
  return value = text, true;
}
bool parse(const std::string& text, std::filesystem::path& value) {
  return value = text, true;
}
bool parse(const std::string& text, EscapedText& value) {
  value.text.clear();
  for (size_t at = 0; at < text.size();) {
    const char letter = text[at++];
    if (letter != '\\')
      value.text += letter;
    else if (!add_escaped(text, at, value.text))
      return false;
  }
  return is_valid_utf8(value.text);
}
bool parse(const std::string& text, ModelPair& value) {
  const size_t colon = text.find(':');
  value = {trimmed(text.substr(0, colon)), colon == std::string::npos ? "" : trimmed(text.substr(colon + 1))};
  return !value.reference.empty() && !value.other.empty() && value.other.find(':') == std::string::npos;
}
bool parse(const std::string& text, int64_t& value) {
  return parse_number(text, value);
}
bool parse(const std::string& text, double& value) {
  return parse_number(text, value) && std::isfinite(value);
}
bool parse(const std::string& text, bool& value) {
  return (value = text == "yes") || text == "no";
}

std::string_view kind_of(const std::string&) {
  return "text";
}
std::string_view kind_of(const std::filesystem::path&) {
  return "path";
}
std::string_view kind_of(const EscapedText&) {
  return "text with escapes (\\n \\t \\r \\s \\\\ \\uXXXX)";
}
std::string_view kind_of(const ModelPair&) {
  return "pair of models, reference:other";
}
std::string_view kind_of(int64_t) {
  return "whole number";
}
std::string_view kind_of(double) {
  return "number";
}
std::string_view kind_of(bool) {
  return "yes or no";
}

}  // namespace cmc::stages
