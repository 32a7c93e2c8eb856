#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/token_map/token_map.hpp"

namespace cmc::similarity {

// A text that shifts are measured on: the reference model's answer to a question.
struct ShiftText {
  std::string question;
  std::vector<int32_t> answer;  // of the reference's vocabulary; each token is one step
};

// A model that reads the reference's texts.
struct ShiftReader {
  std::shared_ptr<const model::DecoderModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  // From the reference's vocabulary to the model's; null: they are one.
  std::shared_ptr<const token_map::TokenMap> map;
};

// [steps, V] float32 log-probabilities (nat) before each step of the answer; V: the reader's vocabulary. A reader of
// another vocabulary reads the prompt and the text of the answer so far, encoded anew (protocol, "Logit-shift
// similarity"). `prompt`: how this model is asked the question.
torch::Tensor step_log_probs(const ShiftReader& reader, const text::Tokenizer& reference,
                             const text::PromptTemplate& prompt, const ShiftText& text);

// [steps, K] `log_probs` at `tokens` [steps, K] int64 of the reference's vocabulary; unmapped tokens count 0.
torch::Tensor at_tokens(const torch::Tensor& log_probs, const torch::Tensor& tokens, const token_map::TokenMap* map);

// How alike two shifts [steps, K] are.
struct Likeness {
  // Divergence of the two clouds of steps, points of K coordinates, over K (geomloss, p 2, blur 0.01).
  double sinkhorn = 0;
  double sinkhorn_per_step = 0;  // mean over steps of the divergence of the K values, points on a line, over K
  double pearson = 0;            // of all values; NaN where one shift is constant
  double mean_square = 0;        // of the difference (nat²)
};
Likeness likeness(const torch::Tensor& reference, const torch::Tensor& other);

}  // namespace cmc::similarity
