#include "pipeline/text/tokenizer_file.hpp"

#include <optional>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::text {
namespace {

// Builds TokenizerFile from the parser's events.
class Reader : public nlohmann::json_sax<Json> {
 public:
  explicit Reader(TokenizerFile& into) : into_(into) {}

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(int64_t value) override {
    if (in_ == In::vocabulary) bad("model.vocab", entry() + " has the negative id " + std::to_string(value));
    if (in_ == In::scored) return score(static_cast<double>(value));
    return scalar(value);
  }
  bool number_unsigned(uint64_t value) override {
    if (in_ == In::scored) return score(static_cast<double>(value));
    if (in_ != In::vocabulary) return scalar(value);
    if (value > static_cast<uint64_t>(TokenizerFile::max_id))
      bad("model.vocab", entry() + " has an id out of range: " + std::to_string(value));
    into_.vocabulary.emplace_back(std::move(key_), static_cast<int32_t>(value));
    return true;
  }
  bool number_float(double value, const std::string&) override {
    return in_ == In::scored ? score(value) : scalar(value);
  }
  bool binary(Json::binary_t&) override { return false; }
  bool string(std::string& value) override {
    if (in_ == In::merges) return merge_line(value);
    if (in_ == In::pair) return pair_.push_back(std::move(value)), true;
    if (in_ == In::scored && scored_open_ && !scored_piece_) return scored_piece_ = std::move(value), true;
    return scalar(std::move(value));
  }

  bool start_object(size_t) override {
    if (at_model("vocab")) return in_ = In::vocabulary, true;
    return open(Json::object());
  }
  bool key(std::string& name) override {
    key_ = std::move(name);
    if (in_ == In::rest && stack_.back()->contains(key_)) bad(path(), "has the key \"" + key_ + "\" twice");
    return true;
  }
  bool end_object() override { return close(); }

  bool start_array(size_t) override {
    if (in_ == In::merges) return in_ = In::pair, pair_.clear(), true;
    if (in_ == In::scored) return open_scored();
    if (at_model("merges")) return in_ = In::merges, true;
    if (at_model("vocab")) return in_ = In::scored, true;
    return open(Json::array());
  }
  bool end_array() override {
    if (in_ == In::scored && scored_open_) return close_scored();
    if (in_ != In::pair) return close();
    if (pair_.size() != 2) bad_merge("has " + std::to_string(pair_.size()) + " parts, not 2");
    into_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
    in_ = In::merges;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    throw BadData({into_.name, "is not valid JSON: " + replace_invalid_utf8(error.what()),
                   "the file may be truncated; fetch it again"});
  }

 private:
  enum class In { rest, vocabulary, scored, merges, pair };
  static constexpr size_t max_depth = 64;  // deeper than any component tree; bounds the recursion of its readers

  [[noreturn]] void bad(const std::string& field, const std::string& what) const {
    throw BadData({into_.name + ": " + field, what, "fetch the tokenizer again, or convert it with transformers"});
  }
  [[noreturn]] void bad_merge(const std::string& what) const {
    bad("model.merges[" + std::to_string(into_.merges.size()) + "]", what);
  }
  std::string entry() const { return "\"" + key_ + "\""; }

  bool at_model(const char* name) const {
    return in_ == In::rest && stack_.size() == 2 && names_.size() == 2 && names_[1] == "model" && key_ == name;
  }

  std::string path() const {
    std::string joined;
    for (const auto& name : names_) joined += joined.empty() || name.empty() ? name : "." + name;
    return joined.empty() ? "the file" : joined;
  }

  [[noreturn]] void bad_scored() const {
    bad("model.vocab[" + std::to_string(into_.scored.size()) + "]", "is not [\"piece\", score]");
  }
  bool open_scored() {
    if (scored_open_) bad_scored();
    scored_open_ = true;
    scored_piece_.reset();
    scored_done_ = false;
    return true;
  }
  bool score(double value) {
    if (!scored_open_ || !scored_piece_ || scored_done_) bad_scored();
    into_.scored.emplace_back(std::move(*scored_piece_), value);
    return scored_done_ = true;
  }
  bool close_scored() {
    if (!scored_done_) bad_scored();
    scored_open_ = false;
    return true;
  }

  Json* place(Json value) {
    if (stack_.empty()) return into_.rest = std::move(value), &into_.rest;
    if (!stack_.back()->is_array()) return &((*stack_.back())[key_] = std::move(value));
    stack_.back()->push_back(std::move(value));
    return &stack_.back()->back();
  }

  bool scalar(Json value) {
    if (in_ == In::vocabulary) bad("model.vocab", entry() + " has no integer as its id");
    if (in_ == In::scored) bad_scored();
    if (in_ == In::merges) bad_merge("is neither \"a b\" nor [\"a\", \"b\"]");
    if (in_ == In::pair) bad_merge("has a part that is not a string");
    place(std::move(value));
    return true;
  }

  bool open(Json container) {
    if (in_ != In::rest) scalar(nullptr);
    if (stack_.size() >= max_depth) bad(path(), "is nested too deeply");
    const bool in_object = !stack_.empty() && stack_.back()->is_object();
    Json* opened = place(std::move(container));
    stack_.push_back(opened);
    names_.push_back(in_object ? key_ : "");
    return true;
  }

  bool close() {
    if (in_ != In::rest) return in_ = In::rest, true;
    stack_.pop_back();
    names_.pop_back();
    return true;
  }

  bool merge_line(const std::string& line) {
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      bad_merge("is not two parts with one space between: \"" + line + "\"");
    into_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }

  TokenizerFile& into_;
  std::vector<Json*> stack_;        // open containers of `rest`
  std::vector<std::string> names_;  // their keys
  std::string key_;
  std::vector<std::string> pair_;
  std::optional<std::string> scored_piece_;
  bool scored_open_ = false, scored_done_ = false;
  In in_ = In::rest;
};

}  // namespace

void refuse_pointer(std::string_view text, const std::string& file) {
  if (text.starts_with("version https://git-lfs"))
    throw BadData(
        {file, "is a Git LFS pointer, not the file itself", "fetch it with git lfs pull, or download it again"});
}

TokenizerFile read_tokenizer_file(const std::filesystem::path& file) {
  TokenizerFile made;
  made.name = file.string();
  const std::string text = read_file(file);
  refuse_pointer(text, made.name);
  check_json_text(text, file.string());
  Reader reader(made);
  Json::sax_parse(text, &reader);
  if (!made.rest.is_object() || !made.rest.contains("model") || !made.rest["model"].is_object())
    throw BadData({made.name + ": model", "is missing", "this is not the tokenizers library's tokenizer.json"});
  return made;
}

}  // namespace cmc::text
