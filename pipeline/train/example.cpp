#include "pipeline/train/example.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"

namespace cmc::train {
namespace {

int32_t end_token(const text::Tokenizer& tokenizer) {
  const int32_t end = tokenizer.special().end;
  if (end < 0) throw BadData({"tokenizer", "has no end token", "name eos_token in tokenizer_config.json"});
  return end;
}

void append(std::string& bytes, const std::vector<int32_t>& ids) {
  const uint64_t count = ids.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
  bytes.append(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t));
}

std::string fault_in(const Example& example, int64_t vocabulary) {
  if (example.tokens.empty()) return "has no tokens";
  if (example.tokens.size() != example.labels.size()) return "has another number of labels than of tokens";
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    const int32_t id = example.tokens[i], label = example.labels[i];
    if (id < 0 || id >= vocabulary) {
      return "has token id " + std::to_string(id) + ", outside the vocabulary of " + std::to_string(vocabulary);
    }
    if (label != ignored_label && label != id) return "has a label that is not its token";
  }
  return label_count(example) == 0 ? "has no token to train on" : "";
}

}  // namespace

std::vector<int64_t> predicting_positions(const Example& example) {
  std::vector<int64_t> positions;
  for (size_t i = 1; i < example.labels.size(); ++i) {
    if (example.labels[i] != ignored_label) positions.push_back(static_cast<int64_t>(i) - 1);
  }
  return positions;
}

int64_t label_count(const Example& example) {
  if (example.labels.empty()) return 0;
  return std::count_if(example.labels.begin() + 1, example.labels.end(), [](int32_t l) { return l != ignored_label; });
}

Example with_all_labels(Example example) {
  example.labels = example.tokens;
  return example;
}

std::string content_key(const Example& example) {
  std::string bytes;
  append(bytes, example.tokens);
  append(bytes, example.labels);
  return sha256(bytes);
}

std::string digest(const std::vector<Example>& examples) {
  std::string keys;
  for (const Example& example : examples) keys += content_key(example);
  return sha256(keys);
}

void check_examples(const std::vector<Example>& examples, int64_t vocabulary, const std::string& where) {
  if (examples.empty()) throw BadData({where, "has no examples", "give at least one"});
  for (size_t i = 0; i < examples.size(); ++i) {
    const std::string fault = fault_in(examples[i], vocabulary);
    if (!fault.empty()) {
      throw BadData(
          {where + ": example " + std::to_string(i), fault, "check the data and the tokenizer it was encoded with"});
    }
  }
}

Example encode_instruction(const text::Tokenizer& tokenizer, std::string_view prompt, std::string_view response,
                           const InstructionLimits& limits) {
  expect(limits.source_tokens > 0 && limits.target_tokens > 0, "limits of an instruction example are positive");
  Example example;
  example.tokens = tokenizer.encode(prompt, text::AddedTokens::as_model);
  if (std::ssize(example.tokens) > limits.source_tokens)
    example.tokens.resize(static_cast<size_t>(limits.source_tokens));
  std::vector<int32_t> target = tokenizer.encode(response, text::AddedTokens::none);
  target.push_back(end_token(tokenizer));
  if (std::ssize(target) > limits.target_tokens) target.resize(static_cast<size_t>(limits.target_tokens));
  example.labels.assign(example.tokens.size(), ignored_label);
  example.labels.insert(example.labels.end(), target.begin(), target.end());
  example.tokens.insert(example.tokens.end(), target.begin(), target.end());
  return example;
}

Example encode_answer(const text::Tokenizer& tokenizer, std::string_view prompt, std::string_view answer,
                      int64_t max_tokens) {
  expect(max_tokens > 0, "limit of an answer example is positive");
  const std::string text = std::string(prompt) + std::string(answer);
  Example example;
  example.tokens = tokenizer.encode(text, text::AddedTokens::as_model);
  if (std::ssize(example.tokens) >= max_tokens) {
    example.tokens.resize(static_cast<size_t>(max_tokens));
  } else {
    example.tokens.push_back(end_token(tokenizer));
  }
  example.labels = example.tokens;
  const size_t prompt_tokens = tokenizer.encode(prompt, text::AddedTokens::as_model).size();
  std::fill_n(example.labels.begin(), std::min(prompt_tokens, example.labels.size()), ignored_label);
  return example;
}

}  // namespace cmc::train
