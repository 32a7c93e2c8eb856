#include "stages/bench/made_up_tokenizer.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/random.hpp"

namespace cmc::stages {
namespace {

const std::string space = "\u0120";    // how byte-level BPE writes a space
constexpr size_t longest_right = 3;    // letters that a merge adds at most
constexpr size_t longest_left = 7;     // to so many at most, so that a piece has ten
constexpr int64_t most_shared = 1000;  // short pieces that all vocabularies have

struct Pieces {
  std::vector<std::string> pieces, merges;
  std::unordered_map<std::string, int64_t> ids;
  std::vector<size_t> lefts, rights;  // what a merge may begin and end with; no space stands within a piece

  bool add(const std::string& piece) {
    if (!ids.try_emplace(piece, static_cast<int64_t>(pieces.size())).second) return false;
    if (piece.size() <= longest_left) lefts.push_back(pieces.size());
    if (piece.size() <= longest_right && !piece.starts_with(space)) rights.push_back(pieces.size());
    pieces.push_back(piece);
    return true;
  }

  void merge(Random& random) {
    const std::string left = pieces[lefts[random.below(lefts.size())]],
                      right = pieces[rights[random.below(rights.size())]];
    if (add(left + right)) merges.push_back(left + " " + right);
  }
};

Pieces made_up(int64_t size, uint64_t seed) {
  Pieces made;
  made.add(space);
  for (char letter = 'a'; letter <= 'z'; ++letter) made.add(std::string(1, letter));
  expect(size >= static_cast<int64_t>(made.pieces.size()), "a made-up vocabulary has at least its letters");
  Random common(1), own(seed);
  const int64_t shared = std::min(most_shared, size / 4);
  while (static_cast<int64_t>(made.pieces.size()) < size)
    made.merge(static_cast<int64_t>(made.pieces.size()) < shared ? common : own);
  return made;
}

Json tokenizer_json(const Pieces& made) {
  Json vocabulary = Json::object();
  for (const auto& [piece, id] : made.ids) vocabulary[piece] = id;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocabulary},
            {"merges", made.merges}}}};
}

}  // namespace

std::shared_ptr<const text::Tokenizer> made_up_tokenizer(int64_t size, uint64_t seed) {
  const auto folder = temporary_beside(std::filesystem::temp_directory_path() / "made-up-tokenizer");
  create_folder(folder);
  struct Removed {
    std::filesystem::path folder;
    ~Removed() {
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  } const removed{folder};
  publish_file(folder / "tokenizer.json", tokenizer_json(made_up(size, seed)).dump());
  return text::load_tokenizer(folder / "tokenizer.json");
}

}  // namespace cmc::stages
