#include "pipeline/core/json.hpp"

#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/mistaken_file.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc {

Json read_json(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    check_json_text(text, file.string());
    return Json::parse(text);
  } catch (const BadData&) {
    check_not_mistaken(text, text.size(), file.string());
    throw;
  } catch (const Json::exception& e) {
    check_not_mistaken(text, text.size(), file.string());
    throw BadData({file.string(), "is not valid JSON: " + replace_invalid_utf8(e.what()),
                   "the file may be truncated; fetch it again"});
  }
}

void read_json_lines(const std::filesystem::path& file,
                     const std::function<void(const Json&, const std::string&)>& take) {
  std::istringstream lines(read_file(file));
  read_json_lines(lines, file.string(), take);
}

void read_json_lines(std::istream& lines, const std::string& name,
                     const std::function<void(const Json&, const std::string&)>& take) {
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
      throw BadData({where, "is not JSON: " + replace_invalid_utf8(e.what()), "each line must hold one JSON object"});
    }
    take(object, where);
  }
}

void throw_bad_field(const std::string& where, const std::string& key, const std::string& what) {
  throw BadData({where + ": " + key, what, "see the format the reader documents"});
}

}  // namespace cmc
