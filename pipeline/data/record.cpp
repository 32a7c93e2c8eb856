#include "pipeline/data/record.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/mistaken_file.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::data {
namespace {

bool is_white_space(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The JSON parser refuses invalid UTF-8 too, but names neither line nor byte.
std::string read_text(const std::filesystem::path& file) {
  if (std::filesystem::is_directory(file))
    throw BadData({file.string(), "is a folder", "give the data file inside it"});
  std::string bytes = read_file(file);
  check_not_mistaken(bytes, bytes.size(), file.string());
  if (is_valid_utf8(bytes)) return bytes;
  size_t line = 1;
  for (size_t start = 0; start < bytes.size(); ++line) {
    const size_t end = std::min(bytes.find('\n', start), bytes.size());
    if (!is_valid_utf8(std::string_view(bytes).substr(start, end - start))) break;
    start = end + 1;
  }
  throw BadData({file.string() + ":" + std::to_string(line), "is not valid UTF-8",
                 "convert the file, e.g. with iconv -f LATIN1 -t UTF-8, or fetch it again"});
}

// Only outside of strings.
std::string with_null_for_non_finite(std::string_view text) {
  std::string json;
  json.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    std::string_view word = text.substr(i, in_string && text[i] == '\\' ? 2 : 1);
    if (text[i] == '"') in_string = !in_string;
    if (!in_string)
      for (const std::string_view name : {"NaN", "Infinity", "-Infinity"})
        if (text.substr(i).starts_with(name)) word = name;
    json += word.size() > 2 ? "null" : word;
    i += word.size();
  }
  return json;
}

[[noreturn]] void throw_no_item(const std::filesystem::path& file) {
  throw BadData({file.string(), "holds no item", "the file may be truncated; fetch it again"});
}

}  // namespace

std::string_view strip(std::string_view text) {
  size_t first = text.size(), end = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (is_white_space(next_code_point(text, at))) continue;
    first = std::min(first, start);
    end = at;
  }
  return end == 0 ? std::string_view{} : text.substr(first, end - first);
}

bool is_blank(std::string_view text) {
  return strip(text).empty();
}

Record::Record(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json_.is_object())
    throw BadData({where_, std::string("is a JSON ") + json_.type_name() + ", not an object",
                   "each item must be an object like {\"question\": …}"});
}

bool Record::has(const std::string& field) const {
  return json_.contains(field) && !json_.at(field).is_null();
}

std::string Record::text(const std::string& field, Blank blank) const {
  if (!json_.contains(field))
    refuse(field, "is missing", "this is another format, or the file is damaged: fetch it again");
  const Json& value = json_.at(field);
  if (!value.is_string()) refuse(field, std::string("is of type ") + value.type_name(), "it must be a string");
  const auto& content = value.get_ref<const std::string&>();
  if (blank == Blank::refused && is_blank(content)) refuse(field, "is empty", "give a text, or leave the item out");
  return content;
}

std::string Record::text_or(const std::string& field, std::string otherwise, Blank blank) const {
  return has(field) ? text(field, blank) : std::move(otherwise);
}

double Record::number_or(const std::string& field, double otherwise) const {
  if (!has(field)) return otherwise;
  const Json& value = json_.at(field);
  if (!value.is_number()) refuse(field, std::string("is of type ") + value.type_name(), "it must be a number");
  return value.get<double>();
}

std::vector<std::string> Record::texts(const std::string& field) const {
  if (!json_.contains(field))
    refuse(field, "is missing", "this is another format, or the file is damaged: fetch it again");
  const Json& list = json_.at(field);
  if (!list.is_array()) refuse(field, std::string("is of type ") + list.type_name(), "it must be a list of strings");
  if (list.empty()) refuse(field, "is an empty list", "give at least one text");
  std::vector<std::string> texts;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string name = field + "[" + std::to_string(i) + "]";
    if (!list[i].is_string()) refuse(name, std::string("is of type ") + list[i].type_name(), "it must be a string");
    texts.push_back(list[i].get<std::string>());
    if (is_blank(texts.back())) refuse(name, "is empty", "give a text, or leave it out of the list");
  }
  return texts;
}

size_t Record::count_or(const std::string& field, size_t otherwise) const {
  if (!has(field)) return otherwise;
  const Json& value = json_.at(field);
  if (!value.is_number_unsigned())
    refuse(field, value.is_number() ? "is " + value.dump() : std::string("is of type ") + value.type_name(),
           "it must be a whole number, 0 or more");
  return value.get<size_t>();
}

std::vector<Record> Record::objects(const std::string& field) const {
  if (!has(field)) return {};
  const Json& list = json_.at(field);
  if (!list.is_array()) refuse(field, std::string("is of type ") + list.type_name(), "it must be a list of objects");
  std::vector<Record> objects;
  for (size_t i = 0; i < list.size(); ++i)
    objects.emplace_back(list[i], where_ + ": " + field + "[" + std::to_string(i) + "]");
  return objects;
}

void Record::refuse(const std::string& field, std::string what, std::string remedy) const {
  throw BadData({where_ + ": " + field, std::move(what), std::move(remedy)});
}

void read_records(const std::filesystem::path& file, const std::function<void(const Record&)>& take) {
  bool any = false;
  read_json_records(with_null_for_non_finite(read_text(file)), file.string(),
                    [&](const Json& json, const std::string& where) {
                      any = true;
                      take(Record(json, where));
                    });
  if (!any) throw_no_item(file);
}

Json read_document(const std::filesystem::path& file) {
  const std::string text = with_null_for_non_finite(read_text(file));
  check_json_text(text, file.string());
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw BadData({file.string(), "is not valid JSON: " + replace_invalid_utf8(error.what()),
                   "the file may be truncated; fetch it again"});
  }
}

std::string hash_of(const std::filesystem::path& file) {
  if (std::filesystem::is_directory(file))
    throw BadData({file.string(), "is a folder", "give the data file inside it"});
  return sha256_file(file);
}

}  // namespace cmc::data
