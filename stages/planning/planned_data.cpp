#include "stages/planning/planned_data.hpp"

#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "pipeline/data/published.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/ifeval/instruction.hpp"

namespace cmc::stages {
namespace {

int64_t published_items(const std::filesystem::path& file) {
  if (const auto known = data::published(file)) return known->items;
  throw MissingInput({file.string(), "does not exist, and how much it holds is not known", "put it there"});
}

}  // namespace

std::vector<records::Slice> slices_of(int64_t items, int64_t unit) {
  std::vector<records::Slice> slices;
  for (int64_t first = 0; first < items; first += unit) slices.push_back({first, std::min(unit, items - first)});
  return slices;
}

std::string shown(const records::Slice& slice) {
  return std::to_string(slice.first) + "-" + std::to_string(slice.first + slice.count - 1);
}

EvaluationPrompts evaluation_prompts(Planner& planner) {
  const auto& file = planner.experiment().given(planner.experiment().data.alpaca_eval);
  return planner.absent().read_or(
      [&] {
        const auto set = data::read_alpaca_eval(file);
        EvaluationPrompts prompts{std::ssize(set.items), {}, set.items.front().generator};
        for (const auto& item : set.items) prompts.questions.push_back(item.instruction);
        return prompts;
      },
      [&] {
        return EvaluationPrompts{published_items(file), {}, {}};
      });
}

IfevalPrompts ifeval_prompts(Planner& planner) {
  const auto& file = planner.experiment().given(planner.experiment().data.ifeval);
  return planner.absent().read_or(
      [&] {
        IfevalPrompts prompts;
        for (const auto& item : data::read_ifeval(file).items) {
          ifeval::instructions_of(item);
          prompts.prompts.push_back(item.prompt);
        }
        prompts.count = std::ssize(prompts.prompts);
        return prompts;
      },
      [&] {
        return IfevalPrompts{published_items(file), {}};
      });
}

int64_t instruction_pairs(Planner& planner, const std::filesystem::path& file) {
  return planner.absent().read_or(
      [&] {
        if (file.extension() == ".jsonl") return std::ssize(data::read_gsm8k(file).items);
        return std::ssize(data::read_alpaca(file).items);
      },
      [&] { return published_items(file); });
}

int64_t tofu_items(Planner& planner, const std::string& stem) {
  const auto& folder = planner.experiment().given(planner.experiment().data.tofu);
  return planner.absent().read_or([&] { return std::ssize(data::read_tofu_any(folder, stem).items); },
                                  [&] { return published_items(folder / (stem + ".json")); });
}

void expect_paraphrased_questions(Planner& planner, const std::string& stem, int64_t items) {
  const auto& folder = planner.experiment().given(planner.experiment().data.tofu);
  const auto check = [&] {
    const auto set = data::read_tofu_any(folder, stem);
    for (int64_t i = 0; i < items; ++i)
      if (const auto& item = set.items.at(static_cast<size_t>(i)); item.paraphrased_question.empty())
        throw BadData({set.file.string() + ": " + item.question, "has no paraphrased_question",
                       "give it one, or leave paraphrase out of robustness.tests"});
    return true;
  };
  planner.absent().read_or(check, [] { return true; });
}

}  // namespace cmc::stages
