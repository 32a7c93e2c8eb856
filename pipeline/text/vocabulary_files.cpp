#include "pipeline/text/vocabulary_files.hpp"

#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* to_convert =
    "convert it where its library is installed (AutoTokenizer.from_pretrained, then save_pretrained) and give the "
    "tokenizer.json that this writes";

[[noreturn]] void refuse_folder(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".tiktoken") || name == "tiktoken.model")
      throw Refused({entry.path().string(),
                     "is a vocabulary of the tiktoken library, whose pattern stands in the model's own code",
                     to_convert});
    if (name == "tekken.json")
      throw Refused({entry.path().string(), "is a vocabulary of the mistral-common library", to_convert});
  }
  if (is_there(folder / "vocab.json") && is_there(folder / "merges.txt"))
    throw Refused({folder.string(),
                   "holds vocab.json and merges.txt, but no tokenizer_class or model type that tells how to read them",
                   "give tokenizer_config.json as well, or tokenizer.json"});
  throw MissingInput(
      {folder.string(), "holds neither tokenizer.json nor tokenizer.model", "give the model's whole folder"});
}

void read_merges(const fs::path& file, TokenizerFile& into) {
  const std::string text = read_file(file);
  refuse_pointer(text, file.string());
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      throw BadData({file.string() + ":" + std::to_string(number),
                     "is not two parts with one space between: \"" + line + "\"", "fetch the file again"});
    into.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
}

}  // namespace

TokenizerFile read_vocabulary_files(const fs::path& folder, bool class_knows_rest) {
  const fs::path vocabulary = folder / "vocab.json", merges = folder / "merges.txt";
  if (!class_knows_rest || !is_there(vocabulary) || !is_there(merges)) refuse_folder(folder);
  TokenizerFile made;
  made.name = vocabulary.string();
  refuse_pointer(read_file(vocabulary), made.name);
  const Json pieces = read_json(vocabulary);
  if (!pieces.is_object()) throw BadData({made.name, "is not an object of piece to id", "fetch it again"});
  for (const auto& [piece, id] : pieces.items()) {
    if (!id.is_number_unsigned() || id > TokenizerFile::max_id)
      throw BadData({made.name + ": \"" + piece + "\"", "has no id in range: " + id.dump(), "fetch it again"});
    made.vocabulary.emplace_back(piece, id.get<int32_t>());
  }
  read_merges(merges, made);
  made.rest = {{"model", Json::object()}};
  return made;
}

}  // namespace cmc::text
