#pragma once
#include <string>
#include <string_view>
#include <vector>

// The text of an experiment file:
//
//   [section]
//   key = value         # a comment
//   key = "a value # with what would else begin a comment, "" is a quotation mark"
//
// # and ; begin a comment at the start of a line or after a blank alone, so that paths and titles may hold them. Lines
// end with \n or \r\n; a byte order mark is passed over.
namespace cmc::stages {

struct IniEntry {
  std::string key;  // "section.key"
  std::string value;
};

// The entries in their order; values without their quotation marks, else without blanks around them. Throws
// BadExperiment naming file and line, or the key that is given twice.
std::vector<IniEntry> parse_ini(std::string_view text, const std::string& file);

// `value` (UTF-8 without line ends) as parse_ini reads it back.
std::string ini_value(const std::string& value);

}  // namespace cmc::stages
