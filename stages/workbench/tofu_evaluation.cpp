#include "stages/workbench/tofu_evaluation.hpp"

#include <algorithm>
#include <span>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "stages/workbench/tofu_data.hpp"

namespace cmc::stages {
namespace {

// Prompt and answer as one text, scored from where the prompt's tokens end, the end token included (published).
SteeredTarget::Answer to_answer(const text::Tokenizer& tokenizer, const TofuPrompt& prompt,
                                const data::PerturbedItem& item, const std::string& answer, int64_t max_tokens) {
  const auto example =
      train::encode_answer(tokenizer, prompt.question(item.question), prompt.answer(answer), max_tokens);
  const auto first = std::ranges::find_if(example.labels, [](int32_t label) { return label != train::ignored_label; });
  return {example.tokens, first - example.labels.begin()};
}

// `scores`: of the true, the paraphrased and each wrong answer.
records::UnlearnRow row_of(const data::PerturbedItem& item, const decode::Generated& generated,
                           std::span<const decode::Score> scores) {
  const auto rouge = metrics::rouge(item.answer, generated.text);
  records::UnlearnRow row;
  row.question = item.question;
  row.answer = item.answer;
  row.generated = generated.text;
  row.generated_tokens = generated.plain_ids();
  row.rouge1_recall = rouge.rouge1.recall;
  row.rouge_l_recall = rouge.rouge_l.recall;
  row.answer_logprob = scores[0].log_prob, row.answer_tokens = scores[0].tokens();
  row.paraphrase_logprob = scores[1].log_prob, row.paraphrase_tokens = scores[1].tokens();
  row.token_logprob = scores[0].of_each, row.token_best = scores[0].vocabulary.best;
  row.token_mean = scores[0].vocabulary.mean, row.token_variance = scores[0].vocabulary.variance;
  if (scores.size() == 2) return row;  // no wrong answers
  row.wrong_logprob.emplace(), row.wrong_tokens.emplace();
  for (const auto& wrong : scores.subspan(2)) {
    row.wrong_logprob->push_back(wrong.log_prob);
    row.wrong_tokens->push_back(wrong.tokens());
  }
  return row;
}

// What is scored of an item: its true answer, the paraphrased one, then the wrong ones.
void add_answers(std::vector<SteeredTarget::Answer>& answers, const records::UnlearnParameters& p,
                 const TofuPrompt& prompt, const text::Tokenizer& tokenizer, const data::PerturbedItem& item) {
  const auto add = [&](const std::string& answer) {
    answers.push_back(to_answer(tokenizer, prompt, item, answer, p.max_tokens));
  };
  add(item.answer);
  answers.back().with_vocabulary = true;
  add(item.paraphrased_answer);
  const size_t first_wrong = answers.size();
  for (const auto& wrong : item.perturbed_answers) add(wrong);
  if (p.compat == "authors")  // protocol, fault 1: all wrong answers get the delta's logits of the first
    for (size_t w = first_wrong + 1; w < answers.size(); ++w) answers[w].delta_tokens = answers[first_wrong].tokens;
}

}  // namespace

std::vector<TofuItem> read_tofu_set(const records::FileReference& data, const Workbench& bench) {
  const auto file = bench.file(data);
  auto set = data::read_tofu_any(file.parent_path(), file.stem().string());
  expect_planned(file, set.content_hash, data);
  std::vector<TofuItem> items;
  for (auto& item : set.items) items.push_back({std::ssize(items), std::move(item)});
  return items;
}

std::vector<TofuItem> read_tofu_slice(const records::FileReference& data, const records::Slice& slice,
                                      const Workbench& bench) {
  const auto all = read_tofu_set(data, bench);
  const auto first = all.begin() + slice.first;
  return {first, first + slice.count};
}

std::vector<records::UnlearnRow> evaluate_tofu(const records::UnlearnParameters& p, const std::vector<TofuItem>& items,
                                               const TaskProgress& report, SteeredTarget& target) {
  if (items.empty()) return {};
  const size_t wrong_answers = items.front().item.perturbed_answers.size(), per_item = 2 + wrong_answers;
  const TofuPrompt prompt(p.prompt);
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> answers;
  for (const auto& [place, item] : items) {
    if (item.perturbed_answers.size() != wrong_answers)
      throw BadData({p.stem + ": " + item.question, "has another number of wrong answers than the set's first",
                     "every item of a set needs as many"});
    prompts.push_back(target.prompt(prompt.question_template(), prompt.question_template(), item.question));
    add_answers(answers, p, prompt, target.tokenizer(), item);
  }
  const auto generated =
      target.generate(prompts, p.new_tokens, [&](const auto& g) { report(g.finished, g.total, ""); });
  const auto scores = target.score(answers, [&](const auto& s) { report(s.tokens, s.total, ""); });
  std::vector<records::UnlearnRow> rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < items.size(); ++i) {
      rows.push_back(row_of(items[i].item, generated[s][i], std::span(scores[s]).subspan(i * per_item, per_item)));
      rows.back().alpha = target.strengths()[s];
      rows.back().item = items[i].place;
    }
  return rows;
}

}  // namespace cmc::stages
