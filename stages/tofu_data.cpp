#include "stages/tofu_data.hpp"

#include "pipeline/data/tofu.hpp"
#include "pipeline/text/prompt_template.hpp"

namespace cmc::stages {
namespace {

std::filesystem::path file_of(const Experiment& experiment, const std::string& set) {
  return experiment.path("data.tofu") / (set + ".json");
}

}  // namespace

Json tofu_split(Planner& planner, int64_t retain_items) {
  const std::string forget = planner.experiment().text("train_unlearn.forget"), retain = data::retain_set_of(forget);
  return {{"forget", forget},
          {"retain", retain},
          {"retain_items", retain_items},
          {"files", {planner.file(file_of(planner.experiment(), forget)), planner.file(file_of(planner.experiment(), retain))}}};
}

namespace {

data::Dataset<data::QuestionAnswer> read_part(const Json& file, const Workbench& bench, size_t limit) {
  const auto path = bench.file(file);
  auto part = data::read_tofu(path.parent_path(), path.stem().string(), limit);
  expect_planned(path, part.content_hash, file);
  return part;
}

}  // namespace

TofuSplit read_tofu_split(const Json& parameters, const Workbench& bench) {
  const int64_t limit = parameters.at("retain_items");
  const auto& files = parameters.at("files");
  const auto forget = read_part(files.at(0), bench, data::all_items);
  const auto retain = read_part(files.at(1), bench, limit > 0 ? static_cast<size_t>(limit) : data::all_items);
  data::expect_disjoint(forget, retain);
  return {forget.items, retain.items};
}

std::string tofu_prompt(const std::string& question) {
  static const text::PromptTemplate inst(text::PromptStyle::inst, {});
  return inst(question);
}

std::vector<train::Example> tofu_examples(const std::vector<data::QuestionAnswer>& items, const text::Tokenizer& tokenizer,
                                          int64_t max_tokens) {
  std::vector<train::Example> examples;
  for (const auto& item : items)
    examples.push_back(train::encode_answer(tokenizer, tofu_prompt(item.question), item.answer, max_tokens));
  return examples;
}

}  // namespace cmc::stages
