#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/text/prompt_template.hpp"

namespace cmc::judge {

// Two responses to one instruction.
struct Comparison {
  std::string instruction, response, baseline;
};

// What a judge thinks of one: probabilities, from its two verdicts alone, that the response is better than the
// baseline. NaN where the comparison is longer than the judge's context, or holds what the judge's prompt cannot write.
struct Verdict {
  double first = std::numeric_limits<double>::quiet_NaN();   // the response shown first, as output A
  double second = std::numeric_limits<double>::quiet_NaN();  // the response shown second, as output B
  // Probability that it says A or B at all, mean of both orders.
  double answered = std::numeric_limits<double>::quiet_NaN();
  // Without the judge's liking for a place; exactly ½ for equal responses.
  double better() const { return (first + second) / 2; }
};

// What the judge is asked, before its prompt template. It ends in the question which output is better, "A or B".
std::string comparison_text(const std::string& instruction, const std::string& output_a, const std::string& output_b);

// A language model that says which of two responses is better: it reads both orders, since models favour a place (Zheng
// et al. 2023, "Judging LLM-as-a-Judge"), and its verdict is how likely it goes on with "A" rather than with "B".
class PairwiseJudge {
 public:
  PairwiseJudge(std::shared_ptr<const model::DecoderModel> model, std::shared_ptr<const text::Tokenizer> tokenizer,
                text::PromptTemplate prompt);

  Verdict compare(const Comparison& comparison);
  int64_t tokens() const { return tokens_; }  // of the prompts read so far

 private:
  std::vector<BaseToken> prompt_tokens(const Comparison& comparison, const std::string& a, const std::string& b) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::PromptTemplate prompt_;
  std::vector<BaseToken> says_a_, says_b_;
  int64_t context_;  // tokens
  int64_t tokens_ = 0;
  std::unique_ptr<fusion::LogitSource> source_;
};

}  // namespace cmc::judge
