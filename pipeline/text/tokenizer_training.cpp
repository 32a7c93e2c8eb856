#include "pipeline/text/tokenizer_training.hpp"

#include <sentencepiece_trainer.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

namespace fs = std::filesystem;

constexpr int32_t roles = 3, byte_pieces = 256;

// The trainer passes such lines over, silently.
constexpr std::string_view reserved_character = "\u2585";

void expect_trainable(const fs::path& file, size_t number, std::string_view line) {
  const auto refuse = [&](const char* what, const char* remedy) {
    throw BadData({file.string() + ":" + std::to_string(number), what, remedy});
  };
  if (!is_valid_utf8(line)) refuse("is not valid UTF-8", "convert the file, e.g. with iconv -f LATIN1 -t UTF-8");
  if (line.find('\0') != std::string_view::npos) refuse("holds a NUL character", "take it out");
  if (line.find(reserved_character) != std::string_view::npos)
    refuse("holds \u2585 (U+2585), which SentencePiece keeps for itself", "take it out");
}

std::vector<std::string> read_training_lines(const fs::path& file) {
  if (fs::is_directory(file)) throw BadData({file.string(), "is a folder", "give a file with one text a line"});
  const std::string bytes = read_file(file);
  std::vector<std::string> lines;
  size_t number = 1;
  for (size_t start = 0; start < bytes.size(); ++number) {
    const size_t end = std::min(bytes.find('\n', start), bytes.size());
    const std::string_view line = std::string_view(bytes).substr(start, end - start);
    expect_trainable(file, number, line);
    if (!line.empty()) lines.emplace_back(line);
    start = end + 1;
  }
  if (lines.empty()) throw BadData({file.string(), "holds no text", "give one text a line"});
  return lines;
}

class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  size_t at_ = 0;
};

// Without the source line and the condition that the library puts before its sentences.
std::string reason_of(const sentencepiece::util::Status& status) {
  const std::string message = status.error_message();
  const size_t condition_end = message.rfind("] ");
  return condition_end == std::string::npos ? message : message.substr(condition_end + 2);
}

// Returns the bytes of the model. A line of any length counts, and errors come back as a status: the log can be silent.
std::string train(const fs::path& file, const TokenizerTraining& settings) {
  const auto texts = read_training_lines(file);
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(settings.pieces)},
      {"character_coverage", Json(settings.character_coverage).dump()},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "-1"},
      {"max_sentence_length", std::to_string(1 << 30)},
      {"num_threads", "1"},
      {"minloglevel", "2"},
  };
  Lines lines(texts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &lines, &model);
  if (!status.ok())
    throw BadData({file.string() + ": pieces", "is " + std::to_string(settings.pieces) + ": " + reason_of(status),
                   "change the number of pieces, give more text, or lower character_coverage"});
  return model;
}

// What transformers needs to make a LlamaTokenizer of tokenizer.model.
Json tokenizer_config() {
  return {{"tokenizer_class", "LlamaTokenizer"},
          {"unk_token", "<unk>"},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"add_bos_token", true},
          {"add_eos_token", false},
          {"clean_up_tokenization_spaces", false},
          {"legacy", true}};
}

void check(const fs::path& file, const TokenizerTraining& settings) {
  if (settings.pieces <= roles + byte_pieces)
    throw BadData({file.string() + ": pieces", "is " + std::to_string(settings.pieces),
                   "give more than " + std::to_string(roles + byte_pieces) + ": <unk>, <s>, </s> and 256 bytes"});
  if (!(settings.character_coverage > 0 && settings.character_coverage <= 1))
    throw BadData({file.string() + ": character_coverage", "is " + Json(settings.character_coverage).dump(),
                   "give a share above 0, up to 1"});
}

}  // namespace

void train_tokenizer(const fs::path& lines, const fs::path& folder, const TokenizerTraining& settings) {
  check(lines, settings);
  const std::string model = train(lines, settings);
  create_folder(folder);
  publish_file(folder / "tokenizer.model", model);
  publish_file(folder / "tokenizer_config.json", tokenizer_config().dump(2) + "\n");
}

}  // namespace cmc::text
