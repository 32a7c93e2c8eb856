#include "stages/experiment/ini.hpp"

#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "stages/experiment/setting.hpp"

namespace cmc::stages {
namespace {

constexpr std::string_view blanks = " \t\r";  // as of trimmed()

bool begins_comment(std::string_view line, size_t at) {
  const bool marked = line[at] == '#' || line[at] == ';';
  return marked && (at == 0 || blanks.find(line[at - 1]) != std::string_view::npos);
}

// Trimmed, too.
std::string without_comment(std::string_view line) {
  for (size_t at = 0; at < line.size(); ++at)
    if (begins_comment(line, at)) return trimmed(std::string(line.substr(0, at)));
  return trimmed(std::string(line));
}

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  void read(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (line_ = 1; !text.empty(); ++line_) {
      const size_t end = text.find('\n');
      read_line(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  }
  std::vector<IniEntry> entries;

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
    throw BadExperiment({file_ + ": line " + std::to_string(line_), what, remedy});
  }

  void read_line(std::string_view whole) {
    if (!is_valid_utf8(whole) || whole.find('\0') != std::string_view::npos)
      fail("is not text in UTF-8", "save the file in UTF-8");
    const auto line = without_comment(whole);
    if (line.empty()) return;
    if (line.front() == '[') return begin_section(line);
    const size_t equals = whole.find('=');
    if (equals == std::string_view::npos || line.find('=') == std::string_view::npos)
      fail("is \"" + line + "\", neither a section nor a setting", "write [section] or key = value");
    const auto key = trimmed(std::string(whole.substr(0, equals)));
    if (key.empty()) fail("has no key before its =", "write key = value");
    add(section_.empty() ? key : section_ + "." + key, value_of(whole.substr(equals + 1)));
  }

  void begin_section(const std::string& line) {
    if (line.back() != ']') fail("has [ without ]", "write [section] on a line of its own");
    section_ = trimmed(line.substr(1, line.size() - 2));
    if (section_.empty()) fail("names no section", "write [section]");
  }

  std::string value_of(std::string_view text) const {
    const auto value = trimmed(std::string(text));
    return value.starts_with('"') ? unquoted(value.substr(1)) : without_comment(text);
  }

  // `text`: after the opening mark.
  std::string unquoted(std::string_view text) const {
    std::string value;
    for (size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '"') {
        value += text[at];
      } else if (text.substr(at + 1).starts_with('"')) {
        value += text[at++];
      } else {
        if (without_comment(text.substr(at + 1)).empty()) return value;
        fail("goes on after the closing \"", "write \"\" for a quotation mark within a quoted value");
      }
    }
    fail("has a value that begins with \" and does not end with it",
         "close it, or write a value that begins with a quotation mark as \"\"\"…\"");
  }

  void add(const std::string& key, const std::string& value) {
    const auto [first, is_new] = lines_.emplace(key, line_);
    if (!is_new)
      throw BadExperiment(
          {file_ + ": " + key,
           "is given twice, in lines " + std::to_string(first->second) + " and " + std::to_string(line_),
           "leave one of them out"});
    entries.push_back({key, value});
  }

  const std::string& file_;
  int line_ = 0;
  std::string section_;
  std::map<std::string, int> lines_;
};

}  // namespace

std::vector<IniEntry> parse_ini(std::string_view text, const std::string& file) {
  Reader reader(file);
  reader.read(text);
  return std::move(reader.entries);
}

std::string ini_value(const std::string& value) {
  bool plain = trimmed(value) == value && !value.starts_with('"');
  for (size_t at = 0; at < value.size(); ++at) plain = plain && !begins_comment(value, at);
  if (plain) return value;
  std::string quoted = "\"";
  for (const char letter : value) (quoted += letter) += letter == '"' ? "\"" : "";
  return quoted + "\"";
}

}  // namespace cmc::stages
