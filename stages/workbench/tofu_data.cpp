#include "stages/workbench/tofu_data.hpp"

#include "pipeline/data/refusals.hpp"
#include "pipeline/data/tofu.hpp"

namespace cmc::stages {
namespace {

std::filesystem::path file_of(const Experiment& experiment, const std::string& set) {
  return experiment.given(experiment.data.tofu) / (set + ".json");
}

}  // namespace

records::TofuSplit tofu_split(Planner& planner, int64_t retain_items) {
  const std::string forget = planner.experiment().train_unlearn.forget, retain = data::retain_set_of(forget);
  return {forget,
          retain,
          retain_items,
          tofu_prompt(planner.experiment().unlearn),
          {planner.file(file_of(planner.experiment(), forget)), planner.file(file_of(planner.experiment(), retain))}};
}

namespace {

data::Dataset<data::QuestionAnswer> read_part(const records::FileReference& file, const Workbench& bench,
                                              size_t limit) {
  const auto path = bench.file(file);
  auto part = data::read_tofu(path.parent_path(), path.stem().string(), limit);
  expect_planned(path, part.content_hash, file);
  return part;
}

}  // namespace

TofuItems read_tofu_split(const records::TofuSplit& split, const Workbench& bench) {
  const int64_t limit = split.retain_items;
  const auto forget = read_part(split.files.at(0), bench, data::all_items);
  const auto retain = read_part(split.files.at(1), bench, limit > 0 ? static_cast<size_t>(limit) : data::all_items);
  data::expect_disjoint(forget, retain);
  return {forget.items, retain.items};
}

std::vector<train::Example> tofu_examples(const std::vector<data::QuestionAnswer>& items,
                                          const records::TofuSplit& split, const text::Tokenizer& tokenizer,
                                          int64_t max_tokens) {
  const TofuPrompt prompt(split.prompt);
  std::vector<train::Example> examples;
  for (const auto& item : items)
    examples.push_back(
        train::encode_answer(tokenizer, prompt.question(item.question), prompt.answer(item.answer), max_tokens));
  return examples;
}

namespace {

// The questions with refusals in place of their answers, epoch after epoch.
std::vector<train::Example> refusal_examples(const std::vector<data::QuestionAnswer>& forgotten,
                                             const records::TofuSplit& split, const train::TrainSettings& settings,
                                             const text::Tokenizer& tokenizer, int64_t max_tokens) {
  const auto sentences = data::refusals();
  std::vector<data::QuestionAnswer> refused;
  for (int64_t epoch = 0; epoch < settings.epochs; ++epoch)
    for (size_t i = 0; i < forgotten.size(); ++i) {
      const size_t drawn = data::refusal_for(settings.seed, static_cast<uint64_t>(epoch), i, sentences.size());
      refused.push_back({forgotten[i].question, std::string(sentences[drawn])});
    }
  return tofu_examples(refused, split, tokenizer, max_tokens);
}

}  // namespace

train::TrainData unlearning_data(const records::TofuSplit& split, int64_t max_tokens,
                                 const train::TrainSettings& settings, const text::Tokenizer& tokenizer,
                                 const Workbench& bench) {
  const auto [forget, retain] = read_tofu_split(split, bench);
  const auto parts = train::parts_of(settings.objective);
  train::TrainData data;
  data.examples = tofu_examples(forget, split, tokenizer, max_tokens);
  data.retain = tofu_examples(retain, split, tokenizer, max_tokens);
  if (parts.diverges())
    for (auto& example : data.retain) example = train::with_all_labels(std::move(example));
  if (parts.refusals) data.refusals = refusal_examples(forget, split, settings, tokenizer, max_tokens);
  return data;
}

}  // namespace cmc::stages
