// TOFU: what a target still knows of the forget set, and of what it should keep (protocol, "TOFU evaluation").
#include <algorithm>
#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/metrics/rouge.hpp"
#include "stages/columns.hpp"
#include "stages/footprint.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/steered_target.hpp"
#include "stages/task_progress.hpp"
#include "stages/tofu_data.hpp"

namespace cmc::stages {
namespace {

// Report name of a set → its file's stem.
std::vector<std::pair<std::string, std::string>> sets(const Experiment& experiment) {
  return {{"forget", experiment.text("train_unlearn.forget") + "_perturbed"},
          {"retain", "retain_perturbed"},
          {"real_authors", "real_authors_perturbed"},
          {"world_facts", "world_facts_perturbed"}};
}

struct Slice {
  std::string set, stem;
  int64_t first, count;
};

void add_slice(Planner& planner, const Evaluated& evaluated, const Slice& slice) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.stage = "unlearn";
  task.name = "TOFU " + slice.set + " " + std::to_string(slice.first) + "-" + std::to_string(slice.first + slice.count - 1) + " " +
              describe(evaluated);
  task.parameters = {{"set", slice.set},
                     {"stem", slice.stem},
                     {"first", slice.first},
                     {"count", slice.count},
                     {"data", planner.file(experiment.path("data.tofu") / (slice.stem + ".json"))},
                     {"new_tokens", experiment.integer("unlearn.new_tokens")},
                     {"max_tokens", experiment.integer("train_unlearn.max_tokens")},
                     {"prompt", experiment.text("unlearn.prompt")},
                     {"compat", experiment.text("unlearn.compat")}};
  add_evaluated(planner, evaluated, experiment.numbers("unlearn.strengths"), task);
  const auto items = static_cast<double>(slice.count), strengths = static_cast<double>(task.parameters.at("strengths").size());
  const double parameters = parameter_count(planner.config(evaluated.target));
  const double generated = items * strengths * 1.5 * static_cast<double>(experiment.integer("unlearn.new_tokens"));
  task.seconds = forward_seconds(parameters, generated + items * strengths * 6 * 80);
  task.bytes = decoding_bytes(experiment, planner.config(evaluated.target), 80 + experiment.integer("unlearn.new_tokens"), task.tensor_parallel);
  planner.add(std::move(task));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.list("deltas.unlearn").empty()) return;
  const int64_t limit = experiment.integer("unlearn.items"), slice = std::max<int64_t>(1, experiment.integer("unlearn.unit_items"));
  std::map<std::string, int64_t> sizes;
  for (const auto& [set, stem] : sets(experiment))
    sizes[set] = std::min(limit, static_cast<int64_t>(data::read_tofu_perturbed(experiment.path("data.tofu"), stem).items.size()));
  for (const auto& target : experiment.targets_of("unlearn"))
    for (const auto& system : systems_on(planner, target, "unlearn"))
      for (const auto& [set, stem] : sets(experiment)) {
        if (system.method == "retain_only" && set != "forget") continue;  // only forget quality needs it
        for (int64_t first = 0; first < sizes[set]; first += slice)
          add_slice(planner, system, {set, stem, first, std::min(slice, sizes[set] - first)});
      }
}

std::vector<data::PerturbedItem> read_slice(const Json& p, const Workbench& bench) {
  const auto file = bench.file(p.at("data"));
  const auto set = data::read_tofu_perturbed(file.parent_path(), file.stem().string());
  expect_planned(file, set.content_hash, p.at("data"));
  const auto first = set.items.begin() + p.at("first").get<int64_t>();
  return {first, first + p.at("count").get<int64_t>()};
}

// Prompt and answer as one text, scored from where the prompt's tokens end, the end token included (published).
SteeredTarget::Answer to_answer(const text::Tokenizer& tokenizer, const TofuPrompt& prompt, const data::PerturbedItem& item,
                                const std::string& answer, int64_t max_tokens) {
  const auto example = train::encode_answer(tokenizer, prompt.question(item.question), prompt.answer(answer), max_tokens);
  const auto first = std::ranges::find_if(example.labels, [](int32_t label) { return label != train::ignored_label; });
  return {example.tokens, first - example.labels.begin()};
}

// Sum of log-probabilities and number of tokens of each answer.
struct Likelihood {
  std::vector<double> log_prob;
  std::vector<int64_t> tokens;
  void add(const decode::Score& score) { log_prob.push_back(score.log_prob), tokens.push_back(score.tokens()); }
};

// One row a (strength, item).
struct Rows {
  std::vector<double> alpha, rouge1, rouge_l;
  std::vector<int64_t> item;
  std::vector<std::string> question, answer, generated;
  std::vector<std::vector<int32_t>> tokens;
  Likelihood truth, paraphrase, wrong;  // wrong: [row, wrong] flat
};

store::Dataset matrix(store::Dataset flat, int64_t columns) {
  flat.dimensions.push_back("wrong");
  flat.shape = {flat.shape.front() / columns, columns};
  return flat;
}

void add_likelihood(store::Unit& unit, const std::string& name, const std::string& what, Likelihood values, int64_t columns) {
  auto log_prob = column(name + "_logprob", "row", std::move(values.log_prob),
                         {"nat", "log-probability of the " + what, "sum over its tokens, end token included"});
  auto tokens = column(name + "_tokens", "row", std::move(values.tokens), {"token", "tokens of the " + what});
  unit.datasets.push_back(columns > 0 ? matrix(std::move(log_prob), columns) : std::move(log_prob));
  unit.datasets.push_back(columns > 0 ? matrix(std::move(tokens), columns) : std::move(tokens));
}

store::Unit to_unit(Rows rows, int64_t wrong_answers) {
  store::Unit unit;
  unit.datasets = {
      column("alpha", "row", std::move(rows.alpha), {"1", "strength of the delta", "0: vanilla"}),
      column("item", "row", std::move(rows.item), {"1", "index in the data file"}),
      column("question", "row", std::move(rows.question), {"1", "question"}),
      column("answer", "row", std::move(rows.answer), {"1", "true answer"}),
      column("generated", "row", std::move(rows.generated), {"1", "generated answer"}),
      column("rouge1_recall", "row", std::move(rows.rouge1), {"1", "ROUGE-1 recall", "rouge_score, Porter stemmer"}),
      column("rouge_l_recall", "row", std::move(rows.rouge_l), {"1", "ROUGE-L recall", "rouge_score, Porter stemmer"})};
  add_likelihood(unit, "answer", "true answer", std::move(rows.truth), 0);
  add_likelihood(unit, "paraphrase", "paraphrased answer", std::move(rows.paraphrase), 0);
  add_likelihood(unit, "wrong", "wrong answers", std::move(rows.wrong), wrong_answers);
  unit.ragged = {token_column("generated_tokens", "row", rows.tokens, "generated base tokens")};
  return unit;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto& p = task.parameters;
  const auto items = read_slice(p, bench);
  const int64_t max_tokens = p.at("max_tokens");
  const size_t wrong_answers = items.front().perturbed_answers.size(), per_item = 2 + wrong_answers;
  SteeredTarget target(p, bench);
  const TofuPrompt prompt(p.at("prompt").get<std::string>());
  std::vector<SteeredTarget::Prompt> prompts;
  std::vector<SteeredTarget::Answer> answers;  // per item: true, paraphrased, wrong…
  for (const auto& item : items) {
    if (item.perturbed_answers.size() != wrong_answers)
      throw BadData({p.at("stem").get<std::string>() + ": " + item.question, "has another number of wrong answers than the set's first",
                     "every item of a set needs as many"});
    prompts.push_back(target.prompt(prompt.question_template(), prompt.question_template(), item.question));
    answers.push_back(to_answer(target.tokenizer(), prompt, item, item.answer, max_tokens));
    answers.push_back(to_answer(target.tokenizer(), prompt, item, item.paraphrased_answer, max_tokens));
    const size_t first_wrong = answers.size();
    for (const auto& wrong : item.perturbed_answers) answers.push_back(to_answer(target.tokenizer(), prompt, item, wrong, max_tokens));
    if (p.at("compat") == "authors")  // protocol, fault 1: all wrong answers get the delta's logits of the first
      for (size_t w = first_wrong + 1; w < answers.size(); ++w) answers[w].delta_tokens = answers[first_wrong].tokens;
  }
  const auto report = log_progress(task.name);
  const auto generated = target.generate(prompts, p.at("new_tokens"), [&](const auto& g) { report(g.finished, g.total, ""); });
  const auto scores = target.score(answers, [&](const auto& s) { report(s.tokens, s.total, ""); });
  Rows rows;
  for (size_t s = 0; s < target.strengths().size(); ++s)
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& answer = generated[s][i];
      const auto rouge = metrics::rouge(items[i].answer, answer.text);
      rows.alpha.push_back(target.strengths()[s]);
      rows.item.push_back(p.at("first").get<int64_t>() + static_cast<int64_t>(i));
      rows.question.push_back(items[i].question);
      rows.answer.push_back(items[i].answer);
      rows.generated.push_back(answer.text);
      rows.rouge1.push_back(rouge.rouge1.recall);
      rows.rouge_l.push_back(rouge.rouge_l.recall);
      auto& ids = rows.tokens.emplace_back();
      for (const auto token : answer.tokens) ids.push_back(token.value);
      const auto* score = &scores[s][i * per_item];
      rows.truth.add(score[0]);
      rows.paraphrase.add(score[1]);
      for (size_t w = 0; w < wrong_answers; ++w) rows.wrong.add(score[2 + w]);
    }
  store::Unit unit = to_unit(std::move(rows), static_cast<int64_t>(wrong_answers));
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage unlearn_stage = {"unlearn", plan, run};

}  // namespace cmc::stages
