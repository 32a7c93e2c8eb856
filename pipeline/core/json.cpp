#include "pipeline/core/json.hpp"

#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/mistaken_file.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc {

namespace {

Json parsed(std::string_view text, const std::string& name) {
  try {
    check_json_text(text, name);
    return Json::parse(text);
  } catch (const BadData&) {
    check_not_mistaken(text, text.size(), name);
    throw;
  } catch (const Json::exception& e) {
    check_not_mistaken(text, text.size(), name);
    throw BadData(
        {name, "is not valid JSON: " + replace_invalid_utf8(e.what()), "the file may be truncated; fetch it again"});
  }
}

}  // namespace

Json read_json(const std::filesystem::path& file) {
  return parsed(read_file(file), file.string());
}

void read_json_records(const std::filesystem::path& file, const TakeJson& take) {
  read_json_records(read_file(file), file.string(), take);
}

void read_json_records(std::string_view text, const std::string& name, const TakeJson& take) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return;
  if (text[first] != '[') {
    std::istringstream lines{std::string(text)};
    return read_json_lines(lines, name, take);
  }
  const Json array = parsed(text, name);
  for (size_t i = 0; i < array.size(); ++i) take(array[i], name + "[" + std::to_string(i) + "]");
}

void read_json_lines(std::istream& lines, const std::string& name, const TakeJson& take) {
  std::string line;
  for (int64_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = name + ":" + std::to_string(number);
    check_json_text(line, where);
    Json object;
    try {
      object = Json::parse(line);
    } catch (const Json::exception& e) {
      if (number == 1) check_not_mistaken(line, line.size(), name);
      throw BadData({where, "is not JSON: " + replace_invalid_utf8(e.what()),
                     "write one JSON object a line, or all in one list [{…}, {…}]"});
    }
    take(object, where);
  }
}

void throw_bad_field(const std::string& where, const std::string& key, const std::string& what) {
  throw BadData({where + ": " + key, what, "see the format the reader documents"});
}

}  // namespace cmc
