#pragma once
#include <filesystem>
#include <functional>
#include <istream>
#include <nlohmann/json.hpp>
#include <string>

namespace cmc {

using Json = nlohmann::json;  // object keys are sorted: dump() is canonical, so it can be hashed

// Whole file as JSON. Throws MissingInput (no file) or BadData (names file, line and column).
Json read_json(const std::filesystem::path& file);

// Calls `take(object, where)` for each non-empty line of a JSON-lines file, where = "file:line".
// Throws MissingInput or BadData naming file and line.
void read_json_lines(const std::filesystem::path& file,
                     const std::function<void(const Json&, const std::string&)>& take);
// The same from a stream; `name`: of it, in "name:line".
void read_json_lines(std::istream& lines, const std::string& name,
                     const std::function<void(const Json&, const std::string&)>& take);

// `object[key]` as T; throws BadData "where: key …" when it is missing or of another type.
template <class T>
T json_field(const Json& object, const std::string& key, const std::string& where);

// Same, with a value for a missing (or null) key; a key of another type is still an error.
template <class T>
T json_field_or(const Json& object, const std::string& key, T otherwise, const std::string& where);

[[noreturn]] void throw_bad_field(const std::string& where, const std::string& key, const std::string& what);

template <class T>
T json_field(const Json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) throw_bad_field(where, key, "is missing");
  try {
    return object.at(key).get<T>();
  } catch (const Json::exception&) {
    throw_bad_field(where, key, std::string("has the wrong type (") + object.at(key).type_name() + ")");
  }
}

template <class T>
T json_field_or(const Json& object, const std::string& key, T otherwise, const std::string& where) {
  if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return otherwise;
  return json_field<T>(object, key, where);
}

}  // namespace cmc
