#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::train {

// Label of a token that is not trained on (Hugging Face's ignore_index).
inline constexpr int32_t ignored_label = -100;

// One sequence with the tokens it is trained on: labels[i] is tokens[i] or ignored_label. As in Hugging Face's causal
// models the state at position i - 1 predicts tokens[i], so labels[0] never counts.
struct Example {
  std::vector<int32_t> tokens;
  std::vector<int32_t> labels;  // as long as tokens
};

// Positions whose state predicts a label: all p with labels[p + 1] != ignored_label, ascending.
std::vector<int64_t> predicting_positions(const Example& example);
int64_t label_count(const Example& example);

// The example with every token a label, those of its question too.
Example with_all_labels(Example example);

// SHA-256 over tokens and labels: what an example is known by.
std::string content_key(const Example& example);

// SHA-256 over all examples in order: the data identity of a training.
std::string digest(const std::vector<Example>& examples);

// Throws BadData naming `where` and the example's number: no tokens, lengths that differ, a label that is neither its
// token nor ignored_label, an id outside [0, vocabulary), nothing to train on.
void check_examples(const std::vector<Example>& examples, int64_t vocabulary, const std::string& where);

struct InstructionLimits {
  int64_t source_tokens = 1024;  // protocol.md: source and target at most 1,024 tokens each
  int64_t target_tokens = 1024;
};

// Instruction tuning. `prompt` is already written in its template (PromptStyle::open_instruct). Prompt and response are
// tokenized apart; the prompt gets the tokens its tokenizer adds (a begin token for Llama), the response the end token,
// which is cut with the rest of a response that is too long. Labels: response and end token.
Example encode_instruction(const text::Tokenizer& tokenizer, std::string_view prompt, std::string_view response,
                           const InstructionLimits& limits = {});

// Unlearning and fine-tuning on TOFU, as the published convert_raw_data_to_model_format does: `prompt` ("[INST] q
// [/INST]") and answer are tokenized as one text, of which the first tokens, as many as the prompt has alone, are not
// trained on. The end token follows unless the text fills `max_tokens` (protocol.md: 500). Labels: answer and end
// token.
Example encode_answer(const text::Tokenizer& tokenizer, std::string_view prompt, std::string_view answer,
                      int64_t max_tokens = 500);

}  // namespace cmc::train
