#include "pipeline/text/bpe_model.hpp"

#include <algorithm>
#include <functional>
#include <queue>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/byte_pieces.hpp"

namespace cmc::text {
namespace {

[[noreturn]] void bad_field(const TokenizerFile& file, const std::string& field, const std::string& what) {
  throw BadData({file.name + ": model." + field, what, "fetch the tokenizer again, or convert it with transformers"});
}

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t slot_of(uint64_t pair, size_t slots) {
  return static_cast<size_t>((pair * 0x9E3779B97F4A7C15ull) >> 20) & (slots - 1);  // Fibonacci hashing (Knuth 6.4)
}

void check_model(const TokenizerFile& file, const Json& model, const std::string& where) {
  if (model.contains("vocab")) bad_field(file, "vocab", "is not an object of piece to id");
  if (model.contains("merges")) bad_field(file, "merges", "is not a list");
  if (file.vocabulary.empty()) bad_field(file, "vocab", "is missing or empty");
  const auto dropout = json_field_or(model, "dropout", 0.0, where);
  if (dropout != 0) bad_field(file, "dropout", "makes token ids random");
}

}  // namespace

BpeModel::BpeModel(const TokenizerFile& file) {
  const std::string where = file.name + ": model";
  const Json& model = file.rest.at("model");
  check_model(file, model, where);
  prefix_ = json_field_or<std::string>(model, "continuing_subword_prefix", "", where);
  suffix_ = json_field_or<std::string>(model, "end_of_word_suffix", "", where);
  fuse_unknown_ = json_field_or(model, "fuse_unk", false, where);
  byte_fallback_ = json_field_or(model, "byte_fallback", false, where);
  ignore_merges_ = json_field_or(model, "ignore_merges", false, where);
  read_vocabulary(file);
  const auto unknown = json_field_or<std::string>(model, "unk_token", "", where);
  unknown_ = unknown.empty() ? -1 : id_of(unknown);
  if (!unknown.empty() && unknown_ < 0) bad_field(file, "unk_token", "\"" + unknown + "\" is not in the vocabulary");
  read_merges(file);
}

void BpeModel::read_vocabulary(const TokenizerFile& file) {
  int32_t largest = 0;
  for (const auto& [piece, id] : file.vocabulary) largest = std::max(largest, id);
  // Holes are allowed, but a range far larger than its tokens is a damaged file, and memory for nothing.
  if (static_cast<size_t>(largest) > 4 * file.vocabulary.size() + 65536)
    bad_field(
        file, "vocab",
        "has ids up to " + std::to_string(largest) + " for only " + std::to_string(file.vocabulary.size()) + " tokens");
  pieces_.resize(static_cast<size_t>(largest) + 1);
  entries_ = static_cast<int32_t>(file.vocabulary.size());
  ids_ = PieceTable(file.vocabulary.size());
  for (const auto& [piece, id] : file.vocabulary) {
    auto& place = pieces_[static_cast<size_t>(id)];
    if (piece.empty()) continue;  // stands for nothing: like a hole
    if (!place.empty())
      bad_field(file, "vocab", "gives id " + std::to_string(id) + " to \"" + place + "\" and to \"" + piece + "\"");
    place = piece;
    if (!ids_.insert(id, pieces_)) bad_field(file, "vocab", "has the piece \"" + piece + "\" twice");
  }
  for (int byte = 0; byte < 256; ++byte) byte_ids_[static_cast<size_t>(byte)] = id_of(byte_piece(byte));
}

void BpeModel::read_merges(const TokenizerFile& file) {
  size_t slots = 16;
  while (slots < 2 * file.merges.size()) slots *= 2;
  merges_.resize(slots);
  std::string made;
  for (size_t rank = 0; rank < file.merges.size(); ++rank) {
    const auto& [left, right] = file.merges[rank];
    const auto require = [&](const std::string& piece, const char* what) {
      const int32_t id = id_of(piece);
      if (id < 0)
        bad_field(file, "merges[" + std::to_string(rank) + "]",
                  std::string(what) + " \"" + piece + "\" is not in the vocabulary");
      return id;
    };
    const int32_t left_id = require(left, "its left part");
    const int32_t right_id = require(right, "its right part");
    if (!right.starts_with(prefix_) || right.size() == prefix_.size())
      bad_field(file, "merges[" + std::to_string(rank) + "]", "would merge \"" + left + "\" with nothing, in a cycle");
    made.assign(left).append(right, prefix_.size());
    add_merge({pair_of(left_id, right_id), static_cast<uint32_t>(rank), require(made, "its result")});
  }
}

int32_t BpeModel::id_of(std::string_view piece) const {
  return ids_.find(piece, pieces_);
}

void BpeModel::add_merge(const Merge& merge) {
  size_t slot = slot_of(merge.pair, merges_.size());
  while (merges_[slot].pair != no_pair && merges_[slot].pair != merge.pair) slot = (slot + 1) & (merges_.size() - 1);
  merges_[slot] = merge;  // of a pair listed twice the later rank counts, as in the tokenizers library
}

const BpeModel::Merge* BpeModel::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  for (size_t slot = slot_of(pair, merges_.size());; slot = (slot + 1) & (merges_.size() - 1)) {
    if (merges_[slot].pair == pair) return &merges_[slot];
    if (merges_[slot].pair == no_pair) return nullptr;
  }
}

int32_t BpeModel::id_of_character(std::string_view character, bool is_first, bool is_last) const {
  if ((is_first || prefix_.empty()) && (!is_last || suffix_.empty())) return id_of(character);
  std::string piece = is_first ? "" : prefix_;
  piece += character;
  if (is_last) piece += suffix_;
  return id_of(piece);
}

bool BpeModel::append_bytes(std::string_view character, std::vector<Symbol>& symbols) const {
  for (const char byte : character)
    if (byte_ids_[static_cast<unsigned char>(byte)] < 0) return false;
  for (const char byte : character) symbols.push_back({byte_ids_[static_cast<unsigned char>(byte)], 0, 0});
  return true;
}

std::vector<BpeModel::Symbol> BpeModel::symbols_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  bool pending_unknown = false;  // written when the next known character comes, so that a run can be fused
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    next_code_point(word, at);
    const auto character = word.substr(begin, at - begin);
    const int32_t id = id_of_character(character, begin == 0, at == word.size());
    if (id >= 0) {
      if (pending_unknown) symbols.push_back({unknown_, 0, 0});
      pending_unknown = false;
      symbols.push_back({id, 0, 0});
    } else if (byte_fallback_ && append_bytes(character, symbols)) {
      continue;
    } else if (unknown_ >= 0) {
      if (pending_unknown && !fuse_unknown_) symbols.push_back({unknown_, 0, 0});
      pending_unknown = true;
    }
  }
  if (pending_unknown) symbols.push_back({unknown_, 0, 0});
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
  }
  return symbols;
}

void BpeModel::merge_all(std::vector<Symbol>& symbols) const {
  struct Candidate {
    uint32_t rank;
    int32_t at, left, right, made;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  std::vector<Candidate> candidates;
  candidates.reserve(symbols.size());
  const auto candidate_at = [&](int32_t at) {
    const auto& left = symbols[static_cast<size_t>(at)];
    const int32_t right = symbols[static_cast<size_t>(left.next)].id;
    const Merge* merge = find_merge(left.id, right);
    return merge ? Candidate{merge->rank, at, left.id, right, merge->made} : Candidate{0, -1, 0, 0, 0};
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    if (const auto found = candidate_at(static_cast<int32_t>(i)); found.at >= 0) candidates.push_back(found);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(), std::move(candidates));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<size_t>(top.at)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    if (left.id != top.left || right.id != top.right) {  // outdated, unless the new pair makes the same token
      const Merge* now = find_merge(left.id, right.id);
      if (now == nullptr || now->made != top.made) continue;
    }
    left.id = top.made;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = top.at;
    if (left.previous >= 0)
      if (const auto found = candidate_at(left.previous); found.at >= 0) queue.push(found);
    if (left.next >= 0)
      if (const auto found = candidate_at(top.at); found.at >= 0) queue.push(found);
  }
}

void BpeModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t whole = id_of(word); whole >= 0) return ids.push_back(whole);
  }
  auto symbols = symbols_of(word);
  if (symbols.size() > 1) merge_all(symbols);
  for (const auto& symbol : symbols)
    if (symbol.id >= 0) ids.push_back(symbol.id);
}

}  // namespace cmc::text
