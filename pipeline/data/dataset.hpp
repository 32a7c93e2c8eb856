#pragma once
#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace cmc::data {

// A reader's limit: how many items to keep, from the first on. The rest of the file is checked all the same.
inline constexpr size_t all_items = std::numeric_limits<size_t>::max();

// What a reader gives: the items in file order, and what identifies them.
template <class Item>
struct Dataset {
  std::string name;            // of the split or the file without its ending: "forget10"
  std::filesystem::path file;  // what was read
  std::string content_hash;    // SHA-256 of the whole file, whatever the limit
  std::vector<Item> items;     // at least one
};

// A question and the answer to learn, to forget or to compare with; UTF-8.
struct QuestionAnswer {
  std::string question;  // never empty
  std::string answer;
};

}  // namespace cmc::data
