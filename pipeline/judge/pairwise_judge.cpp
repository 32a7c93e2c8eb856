#include "pipeline/judge/pairwise_judge.hpp"

#include <algorithm>
#include <cmath>

#include "pipeline/core/error.hpp"
#include "pipeline/decode/score.hpp"

namespace cmc::judge {
namespace {

// How likely A is where one of the two must be said.
double prefers_a(const decode::Score& a, const decode::Score& b) {
  return 1 / (1 + std::exp(b.log_prob - a.log_prob));
}

double says_either(const decode::Score& a, const decode::Score& b) {
  return std::exp(a.log_prob) + std::exp(b.log_prob);
}

}  // namespace

std::string comparison_text(const std::string& instruction, const std::string& output_a, const std::string& output_b) {
  return "Two assistants answered the same instruction. Compare their outputs.\n\n### Instruction\n" + instruction +
         "\n\n### Output A\n" + output_a + "\n\n### Output B\n" + output_b +
         "\n\n### Question\nWhich output is the better answer to the instruction? Reply with one letter, A or B.";
}

PairwiseJudge::PairwiseJudge(std::shared_ptr<const model::DecoderModel> model,
                             std::shared_ptr<const text::Tokenizer> tokenizer, text::PromptTemplate prompt)
    : tokenizer_(std::move(tokenizer)), prompt_(std::move(prompt)), context_(model->config().max_positions) {
  says_a_ = fusion::tokens_of<BaseToken>(tokenizer_->encode("A", text::AddedTokens::none));
  says_b_ = fusion::tokens_of<BaseToken>(tokenizer_->encode("B", text::AddedTokens::none));
  fusion::FusionSettings settings;
  settings.slots = 1;  // nothing is decoded
  settings.initial_capacity = 1;
  // An order's two verdicts in one pass: they share the prompt.
  settings.forced_tokens = 4 * std::max<int64_t>(context_, 1);
  source_ = fusion::fused_source({std::move(model), tokenizer_}, {}, settings);
}

std::vector<BaseToken> PairwiseJudge::prompt_tokens(const Comparison& comparison, const std::string& a,
                                                    const std::string& b) const {
  return fusion::tokens_of<BaseToken>(prompt_.tokens(comparison_text(comparison.instruction, a, b), *tokenizer_));
}

Verdict PairwiseJudge::compare(const Comparison& comparison) {
  const auto& [instruction, response, baseline] = comparison;
  if (!prompt_.can_write(comparison_text(instruction, response, baseline)) ||
      !prompt_.can_write(comparison_text(instruction, baseline, response)))
    return {};
  const auto first = prompt_tokens(comparison, comparison.response, comparison.baseline);
  const auto second = prompt_tokens(comparison, comparison.baseline, comparison.response);
  const auto longest = std::max(first.size(), second.size()) + std::max(says_a_.size(), says_b_.size());
  if (static_cast<int64_t>(longest) > context_) return {};
  const std::vector<decode::ScoreRequest> requests = {
      {first, says_a_, {}}, {first, says_b_, {}}, {second, says_a_, {}}, {second, says_b_, {}}};
  const auto scores = decode::score(*source_, requests);
  tokens_ += std::ssize(first) + std::ssize(second);
  return {prefers_a(scores[0], scores[1]), 1 - prefers_a(scores[2], scores[3]),
          (says_either(scores[0], scores[1]) + says_either(scores[2], scores[3])) / 2};
}

}  // namespace cmc::judge
