#pragma once
#include <filesystem>
#include <functional>
#include <istream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cmc {

using Json = nlohmann::json;  // object keys are sorted: dump() is canonical, so it can be hashed

// Whole file as JSON. Throws MissingInput (no file) or BadData (names file, line and column).
Json read_json(const std::filesystem::path& file);

// Takes a value and its place.
using TakeJson = std::function<void(const Json&, const std::string&)>;

// Calls `take` for each record of a text, whichever of the usual forms it has: a JSON array (place "name[index]"), or a
// value a line (place "name:line"; empty lines are passed over). Throws BadData naming the place.
void read_json_records(std::string_view text, const std::string& name, const TakeJson& take);
// Of a file. Throws MissingInput, too.
void read_json_records(const std::filesystem::path& file, const TakeJson& take);
// Line by line as they come; `name`: of the stream.
void read_json_lines(std::istream& lines, const std::string& name, const TakeJson& take);

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
