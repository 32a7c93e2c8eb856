#include "stages/experiment/setting.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace cmc::stages {
namespace {

// Whether the whole text is one value of T.
template <class T>
bool parse_number(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
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
bool parse(const std::string& text, int64_t& value) {
  return parse_number(text, value) && value >= 0;
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
