#include "pipeline/decode/score.hpp"

#include <cmath>

#include "pipeline/core/error.hpp"

namespace cmc::decode {
namespace {

fusion::ForcedSequence sequence_of(const ScoreRequest& request) {
  if (request.prompt.empty())
    throw BadData({"prompt", "has no tokens, so nothing predicts the answer's first token",
                   "this tokenizer adds no begin token: give some text"});
  fusion::ForcedSequence sequence{request.prompt, static_cast<int64_t>(request.prompt.size()), request.steering,
                                  request.deltas};
  sequence.tokens.insert(sequence.tokens.end(), request.answer.begin(), request.answer.end());
  return sequence;
}

// Of the rows whose requests ask for it.
void add_vocabulary(const fusion::FusedLogits& logits, std::span<const fusion::ForcedPosition> positions,
                    std::span<const ScoreRequest> requests, std::span<const BaseToken> tokens,
                    std::vector<Score>& scores) {
  std::vector<int64_t> rows;
  for (size_t row = 0; row < positions.size(); ++row)
    if (requests[static_cast<size_t>(positions[row].sequence)].with_vocabulary)
      rows.push_back(static_cast<int64_t>(row));
  if (rows.empty()) return;
  const auto asked = logits.of_rows(rows);
  const auto best = asked.argmax();
  const auto [mean, variance] = asked.moments();
  const auto means = mean.cpu(), variances = variance.cpu();
  for (size_t k = 0; k < rows.size(); ++k) {
    const auto row = static_cast<size_t>(rows[k]);
    auto& of = scores[static_cast<size_t>(positions[row].sequence)].vocabulary;
    of.best.push_back(best[k] == tokens[row] ? 1 : 0);
    of.mean.push_back(means.const_data_ptr<float>()[k]);
    of.variance.push_back(variances.const_data_ptr<float>()[k]);
  }
}

}  // namespace

std::vector<Score> score(fusion::LogitSource& source, std::span<const ScoreRequest> requests,
                         const ReportScore& report) {
  std::vector<fusion::ForcedSequence> sequences;
  std::vector<Score> scores(requests.size());
  ScoreProgress progress;
  for (size_t i = 0; i < requests.size(); ++i) {
    sequences.push_back(sequence_of(requests[i]));
    scores[i].of_each.reserve(requests[i].answer.size());
    progress.total += static_cast<int64_t>(requests[i].answer.size());
  }
  source.force(sequences, [&](const fusion::FusedLogits& logits, std::span<const fusion::ForcedPosition> positions) {
    std::vector<BaseToken> tokens;
    for (const auto& at : positions)
      tokens.push_back(sequences[static_cast<size_t>(at.sequence)].tokens[static_cast<size_t>(at.token)]);
    const auto log_probs = logits.log_prob_of(tokens).cpu();
    for (size_t row = 0; row < positions.size(); ++row) {
      auto& score = scores[static_cast<size_t>(positions[row].sequence)];
      score.of_each.push_back(log_probs.const_data_ptr<float>()[row]);
      score.log_prob += score.of_each.back();
    }
    add_vocabulary(logits, positions, requests, tokens, scores);
    progress.tokens += static_cast<int64_t>(positions.size());
    if (report) report(progress);
  });
  for (const auto& score : scores)
    if (!std::isfinite(score.log_prob))
      throw BadData({"a model's logits", "give an answer no finite log-probability", "check its weights and dtype"});
  return scores;
}

}  // namespace cmc::decode
