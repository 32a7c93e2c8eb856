#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/data/dataset.hpp"

namespace cmc::data {

enum class Blank { allowed, refused };

// One object of a data file and its place there, for readers: every access checks and names file, place and field.
class Record {
 public:
  // Throws BadData unless `json` is an object.
  Record(const Json& json, std::string where);

  const std::string& where() const { return where_; }
  const Json& json() const { return json_; }  // for fields whose type says what they mean
  bool has(const std::string& field) const;   // present and not null

  // Throws BadData: missing, no string, or (refused) nothing but white space.
  std::string text(const std::string& field, Blank blank = Blank::refused) const;
  std::string text_or(const std::string& field, std::string otherwise, Blank blank = Blank::refused) const;

  // A list of texts that are not blank; throws BadData naming the position, and on an empty list.
  std::vector<std::string> texts(const std::string& field) const;

  // For a missing or null field `otherwise`; throws BadData when it is no number.
  double number_or(const std::string& field, double otherwise) const;

  // A whole number from 0 on; for a missing or null field `otherwise`. Throws BadData for anything else.
  size_t count_or(const std::string& field, size_t otherwise) const;

  // The objects of a list, none for a missing or null field; throws BadData naming the position. They point into this
  // record.
  std::vector<Record> objects(const std::string& field) const;

  [[noreturn]] void refuse(const std::string& field, std::string what, std::string remedy) const;

 private:
  const Json& json_;
  std::string where_;
};

// Calls `take` for each object of a JSON array, or of a JSON-lines file: publishers write both. Throws MissingInput, or
// BadData when the file is a folder, what a failed download leaves, holds invalid UTF-8 or no object. NaN, Infinity and
// -Infinity, which Python writes although JSON has none of them, are read as null.
void read_records(const std::filesystem::path& file, const std::function<void(const Record&)>& take);

// The whole file as JSON, read likewise.
Json read_document(const std::filesystem::path& file);

// Name and hash of `file`, still without items.
template <class Item>
Dataset<Item> describe(const std::filesystem::path& file);
std::string hash_of(const std::filesystem::path& file);

// What Python's str.strip() takes for white space, Unicode's included. `text`: valid UTF-8.
std::string_view strip(std::string_view text);
bool is_blank(std::string_view text);

template <class Item>
Dataset<Item> describe(const std::filesystem::path& file) {
  return {file.stem().string(), file, hash_of(file), {}};
}

}  // namespace cmc::data
