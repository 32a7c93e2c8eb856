#include "pipeline/checkpoint/identity.hpp"

#include <map>
#include <mutex>
#include <tuple>

#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/model_files.hpp"

namespace cmc::checkpoint {

namespace fs = std::filesystem;

namespace {

using FileState = std::tuple<std::string, uintmax_t, fs::file_time_type>;

// A file's hash depends on its content alone, so keeping it changes no result, only the time to get it.
std::string hash_once(const fs::path& file) {
  static std::mutex mutex;
  static std::map<FileState, std::string> known;
  const std::lock_guard lock(mutex);
  std::error_code error;
  const FileState state{fs::canonical(file, error).string(), fs::file_size(file, error),
                        fs::last_write_time(file, error)};
  if (error) throw MissingInput({file.string(), "cannot be read: " + error.message(), "check the file"});
  const auto found = known.find(state);
  if (found != known.end()) return found->second;
  return known[state] = sha256_file(file);
}

}  // namespace

std::string content_identity(const fs::path& folder) {
  std::vector<fs::path> files = weight_file_names(folder);
  if (!is_there(folder / "config.json")) {
    throw MissingInput({(folder / "config.json").string(), "does not exist", "give a Hugging Face model folder"});
  }
  const auto add = [&](const char* name) {
    if (is_there(folder / name)) files.push_back(folder / name);
  };
  for (const char* name : {"config.json", "generation_config.json"}) add(name);
  for (const char* name : tokenizer_file_names) add(name);
  std::string text;
  for (const fs::path& file : files) {
    text += file.filename().string() + " " + hash_once(file) + "\n";
  }
  return sha256(text);
}

}  // namespace cmc::checkpoint
