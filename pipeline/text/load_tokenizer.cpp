// Which reader a tokenizer's file needs.
#include <filesystem>

#include "pipeline/core/error.hpp"
#include "pipeline/text/folder_tokenizer.hpp"
#include "pipeline/text/sentencepiece_tokenizer.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/text/tokenizer_config.hpp"

namespace cmc::text {

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_directory(path, error)) return load_folder_tokenizer(path);
  if (!fs::exists(path, error))
    throw MissingInput({path.string(), "does not exist", "give a tokenizer.json, a tokenizer.model, or their folder"});
  return path.extension() == ".json" ? load_file_tokenizer(path)
                                     : load_sentencepiece_tokenizer(path, read_tokenizer_config(path.parent_path()));
}

}  // namespace cmc::text
