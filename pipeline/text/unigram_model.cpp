#include "pipeline/text/unigram_model.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/byte_pieces.hpp"

namespace cmc::text {
namespace {

constexpr double unknown_penalty = 10;  // below the least likely piece (sentencepiece, unigram_model.cc)

[[noreturn]] void bad_field(const TokenizerFile& file, const std::string& field, const std::string& what) {
  throw BadData({file.name + ": model." + field, what, "fetch the tokenizer again, or convert it with transformers"});
}

}  // namespace

UnigramModel::UnigramModel(const TokenizerFile& file) : ids_(file.scored.size()) {
  const std::string where = file.name + ": model";
  const Json& model = file.rest.at("model");
  if (file.scored.empty()) bad_field(file, "vocab", "is no list of [piece, score], or is empty");
  byte_fallback_ = json_field_or(model, "byte_fallback", false, where);
  double least = 0;
  for (const auto& [piece, score] : file.scored) {
    if (!std::isfinite(score)) bad_field(file, "vocab", "gives \"" + piece + "\" a score that is no number");
    least = pieces_.empty() ? score : std::min(least, score);
    pieces_.push_back(piece);
    scores_.push_back(score);
    if (!piece.empty() && !ids_.insert(entries() - 1, pieces_))
      bad_field(file, "vocab", "has the piece \"" + piece + "\" twice");
  }
  unknown_score_ = least - unknown_penalty;
  const Json unknown = json_field_or<Json>(model, "unk_id", Json(), where);
  if (!unknown.is_null()) {
    if (!unknown.is_number_integer() || unknown < 0 || unknown >= pieces_.size())
      bad_field(file, "unk_id", "is no id of this vocabulary: " + unknown.dump());
    unknown_ = unknown.get<int32_t>();
  }
  for (int byte = 0; byte < 256; ++byte) byte_ids_[static_cast<size_t>(byte)] = id_of(byte_piece(byte));
  sorted_.resize(pieces_.size());
  std::iota(sorted_.begin(), sorted_.end(), 0);
  std::sort(sorted_.begin(), sorted_.end(),
            [&](int32_t a, int32_t b) { return pieces_[static_cast<size_t>(a)] < pieces_[static_cast<size_t>(b)]; });
}

int32_t UnigramModel::id_of(std::string_view piece) const {
  return piece.empty() ? -1 : ids_.find(piece, pieces_);
}

// Offers every piece that begins at `begin` as a step, and the unknown token where no piece is just that character.
void UnigramModel::relax_pieces(std::string_view word, size_t begin, size_t character_end,
                                std::vector<Step>& steps) const {
  const double so_far = steps[begin].score;
  const auto offer = [&](size_t end, int32_t id, double score) {
    if (!steps[end].reached || score > steps[end].score) steps[end] = {score, id, begin, true};
  };
  bool alone = false;
  auto first = sorted_.begin(), last = sorted_.end();
  for (size_t end = begin + 1; end <= word.size() && first != last; ++end) {
    const size_t depth = end - begin - 1;
    const auto byte = static_cast<unsigned char>(word[end - 1]);
    const auto at_depth = [&](int32_t id) {  // -1: the piece ends before
      const auto& piece = pieces_[static_cast<size_t>(id)];
      return depth < piece.size() ? static_cast<int>(static_cast<unsigned char>(piece[depth])) : -1;
    };
    first = std::partition_point(first, last, [&](int32_t id) { return at_depth(id) < byte; });
    last = std::partition_point(first, last, [&](int32_t id) { return at_depth(id) <= byte; });
    if (first == last || pieces_[static_cast<size_t>(*first)].size() != depth + 1) continue;
    offer(end, *first, so_far + scores_[static_cast<size_t>(*first)]);
    alone = alone || end == character_end;
  }
  if (!alone) offer(character_end, unknown_, so_far + unknown_score_);
}

std::vector<UnigramModel::Step> UnigramModel::best_path(std::string_view word) const {
  std::vector<Step> steps(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    size_t end = at;
    next_code_point(word, end);
    relax_pieces(word, at, end, steps);
    at = end;
  }
  return steps;
}

void UnigramModel::append(std::string_view piece, std::vector<int32_t>& ids) const {
  if (const int32_t id = id_of(piece); id >= 0) return ids.push_back(id);
  if (byte_fallback_ && append_byte_ids(piece, byte_ids_, ids)) return;
  if (unknown_ >= 0) ids.push_back(unknown_);
}

void UnigramModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  const auto steps = best_path(word);
  std::vector<std::string_view> parts;  // from the last to the first
  bool unknown_run = false;
  for (size_t end = word.size(); end > 0;) {
    const Step& step = steps[end];
    const bool unknown = unknown_ >= 0 && step.id == unknown_;
    const auto part = word.substr(step.begin, end - step.begin);
    if (unknown && unknown_run)
      parts.back() = word.substr(step.begin, part.size() + parts.back().size());
    else
      parts.push_back(part);
    unknown_run = unknown;
    end = step.begin;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) append(*part, ids);
}

}  // namespace cmc::text
