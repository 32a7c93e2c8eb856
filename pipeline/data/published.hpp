#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace cmc::data {

// What is known of a data set's file as its publisher gives it.
struct Published {
  int64_t items = 0;
  int64_t bytes = 0;  // about
};

// Of the files that jobs/fetch.sh gets, and IFEval's, each by its name alone; none: another file.
std::optional<Published> published(const std::filesystem::path& file);

}  // namespace cmc::data
