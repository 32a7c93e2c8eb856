// Which reader a tokenizer's file needs.
#include <filesystem>

#include "pipeline/core/error.hpp"
#include "pipeline/text/json_tokenizer.hpp"
#include "pipeline/text/sentencepiece_tokenizer.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/text/tokenizer_config.hpp"

namespace cmc::text {

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path file = path;
  if (fs::is_directory(path, error)) {
    file = path / "tokenizer.json";
    if (!fs::exists(file, error)) file = path / "tokenizer.model";
    if (!fs::exists(file, error))
      throw MissingInput(
          {path.string(), "holds neither tokenizer.json nor tokenizer.model", "give the model's whole folder"});
  } else if (!fs::exists(path, error)) {
    throw MissingInput({path.string(), "does not exist", "give a tokenizer.json, a tokenizer.model, or their folder"});
  }
  const auto config = read_tokenizer_config(file.parent_path());
  if (file.extension() == ".json") return load_json_tokenizer(file, config);
  return load_sentencepiece_tokenizer(file, config);
}

}  // namespace cmc::text
