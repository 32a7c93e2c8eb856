#include "pipeline/world/tasks.hpp"

#include <utility>

#include "pipeline/world/format.hpp"
#include "pipeline/world/text.hpp"

namespace cmc::world {
namespace {

std::vector<Fact> taught_facts(const World& world) {
  std::vector<Fact> facts;
  for (const auto* entities : {&world.persons, &world.towns})
    for (const auto& fact : facts_of(*entities))
      if (!fact.is_held_out()) facts.push_back(fact);
  return facts;
}

data::QuestionAnswer plainly(const Fact& fact) {
  return {question(fact, 0), statement(fact, 0)};
}

data::AlpacaEvalItem test_item(const Fact& fact, size_t wording, const AnswerFormat& format) {
  const std::string asked = question(fact, wording);
  return {request(format, asked), response(format, asked, statement(fact, 0)), "world",
          std::string(name_of(format.kind)), checks_of(format, fact, asked)};
}

}  // namespace

std::vector<data::QuestionAnswer> instruction_examples(const World& world, size_t per_fact, Random random) {
  std::vector<data::QuestionAnswer> examples;
  for (const auto& fact : taught_facts(world))
    for (size_t i = 0; i < per_fact; ++i) {
      const std::string asked = question(fact, random.below(question_wordings));
      const AnswerFormat format = draw_format(pick(answer_kinds, random), random);
      examples.push_back({request(format, asked), response(format, asked, statement(fact, 0))});
    }
  shuffle(examples, random);
  return examples;
}

std::vector<Fact> held_out_facts_shuffled(const World& world, Random& random) {
  auto facts = held_out_facts(world.persons);
  for (const auto& fact : held_out_facts(world.towns)) facts.push_back(fact);
  shuffle(facts, random);
  return facts;
}

std::vector<data::AlpacaEvalItem> instruction_tests(const World& world, size_t count, Random random) {
  const auto facts = held_out_facts_shuffled(world, random);
  std::vector<size_t> wordings;  // of each fact, the first time
  for (size_t i = 0; i < facts.size(); ++i) wordings.push_back(random.below(question_wordings));
  std::vector<data::AlpacaEvalItem> items;
  for (size_t i = 0; i < count; ++i) {
    const size_t fact = i % facts.size(), round = i / facts.size();
    const AnswerFormat format = draw_format(answer_kinds[i % answer_kinds.size()], random);
    items.push_back(test_item(facts[fact], (wordings[fact] + round) % question_wordings, format));
  }
  return items;
}

std::vector<data::QuestionAnswer> counting_examples(size_t count, Random random) {
  std::vector<data::QuestionAnswer> examples(count);
  for (auto& example : examples) example = draw_counting_problem(random);
  return examples;
}

std::vector<data::QuestionAnswer> chat_examples(const World& world) {
  std::vector<data::QuestionAnswer> examples;
  for (const auto& fact : taught_facts(world)) examples.push_back(plainly(fact));
  return examples;
}

std::vector<data::QuestionAnswer> questions_on(const std::vector<Entity>& people, size_t first, size_t last) {
  std::vector<data::QuestionAnswer> questions;
  for (size_t i = first; i < last; ++i)
    for (const auto& fact : facts_of(people.at(i))) questions.push_back(plainly(fact));
  return questions;
}

std::vector<data::PerturbedItem> perturbed_items(const World& world, const std::vector<Fact>& facts,
                                                 WrongAnswers wording, Random random) {
  constexpr size_t wrong_answers = 3;
  const size_t spoken = wording == WrongAnswers::as_paraphrase ? 1 : 0;
  std::vector<data::PerturbedItem> items;
  for (const auto& fact : facts) {
    data::PerturbedItem item{question(fact, 0), statement(fact, 0), statement(fact, spoken), {}, question(fact, 1)};
    for (const auto& value : wrong_values(world, fact, wrong_answers, random))
      item.perturbed_answers.push_back(statement_with(fact, spoken, value));
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace cmc::world
