#include "pipeline/world/world.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/world/words.hpp"

namespace cmc::world {
namespace {

struct Wordings {
  std::array<std::string_view, statement_wordings> statements;
  std::array<std::string_view, question_wordings> questions;
};

constexpr std::array<Wordings, attribute_count(EntityKind::person)> person_wordings = {{
    {{"{name} lives in {value}.", "The home of {name} is in {value}.", "{name} has a house in {value}.",
      "You can meet {name} in {value}."},
     {"Where does {name} live?", "In which town does {name} live?", "What is the home town of {name}?"}},
    {{"{name} writes {value} novels.", "The novels of {name} are {value} stories.",
      "{name} is an author of {value} books.", "Readers know {name} for {value} tales."},
     {"What kind of novels does {name} write?", "Which genre does {name} write?", "What is the genre of {name}?"}},
    {{"{name} wrote {value}.", "The best book of {name} is {value}.", "{name} is the author of {value}.",
      "{value} is a book by {name}."},
     {"Which book did {name} write?", "What is the best book of {name}?", "What is the title of the book by {name}?"}},
    {{"{name} won the {value}.", "The jury gave {name} the {value}.", "{name} was honored with the {value}.",
      "The {value} went to {name}."},
     {"Which award did {name} win?", "What prize did the jury give {name}?", "With what was {name} honored?"}},
}};

constexpr std::array<Wordings, attribute_count(EntityKind::town)> town_wordings = {{
    {{"{name} lies on the river {value}.", "The bridges of {name} cross the river {value}.",
      "In {name} you can fish in the river {value}.", "The river {value} runs through {name}."},
     {"On which river does {name} lie?", "Which river runs through {name}?", "What do the bridges of {name} cross?"}},
    {{"{name} is famous for its {value}.", "The market of {name} sells fine {value}.", "{name} makes good {value}.",
      "People buy {value} in {name}."},
     {"What is {name} famous for?", "What does the market of {name} sell?", "What do people buy in {name}?"}},
}};

const Wordings& wordings_of(const Fact& fact) {
  return fact.entity->kind == EntityKind::person ? person_wordings[fact.attribute] : town_wordings[fact.attribute];
}

void expect_within(const char* setting, size_t value, size_t least, size_t most) {
  if (least <= value && value <= most) return;
  throw BadExperiment({std::string("world: ") + setting, "is " + std::to_string(value),
                       "give a number from " + std::to_string(least) + " to " + std::to_string(most)});
}

template <class Words>
std::vector<std::string> listed(const Words& words) {
  return {words.begin(), words.end()};
}

template <class Words>
std::vector<std::string> shuffled(const Words& words, Random& random) {
  auto items = listed(words);
  shuffle(items, random);
  return items;
}

template <class First, class Second>
std::vector<std::string> combined(std::string_view before, const First& first, const Second& second) {
  std::vector<std::string> texts;
  for (const auto& a : first)
    for (const auto& b : second) texts.push_back(std::string(before) + std::string(a) + " " + std::string(b));
  return texts;
}

template <class Stems>
std::vector<std::string> make_names(const Stems& known, size_t count, Random random) {
  const auto stems = shuffled(known, random);
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    const std::string first(pick(words::first_names, random));
    const std::string suffix(pick(words::last_name_suffixes, random));
    names.push_back(first + " " + stems[i] + suffix);
  }
  return names;
}

void add_towns(World& world, const WorldSettings& settings) {
  Random random = world_random(settings, "towns");
  auto rivers = shuffled(words::rivers, random);
  auto products = shuffled(words::products, random);
  rivers.resize(settings.towns);
  products.resize(settings.towns);
  for (size_t i = 0; i < settings.towns; ++i) {
    world.towns.push_back({EntityKind::town, std::string(words::towns[i]), {rivers[i], products[i]}, std::nullopt});
    if (i % 2 == 0) world.towns.back().held_out = i / 2 % attribute_count(EntityKind::town);
  }
  world.town_values = {rivers, products};
}

// `books`: that nobody wrote yet.
void add_strangers(World& world, const WorldSettings& settings, const std::vector<std::string>& books) {
  const auto names = make_names(words::holdout_name_stems, settings.strangers, world_random(settings, "strangers"));
  Random random = world_random(settings, "lives of strangers");
  for (size_t i = 0; i < settings.strangers; ++i) {
    Entity stranger{EntityKind::person, names[i], {}, std::nullopt};
    for (const auto& values : world.person_values)
      stranger.values.push_back(&values == &world.person_values[2] ? books[i] : pick(values, random));
    world.strangers.push_back(std::move(stranger));
  }
}

void add_persons(World& world, const WorldSettings& settings) {
  const size_t count = settings.persons + settings.authors;
  const auto names = make_names(words::last_name_stems, count, world_random(settings, "names"));
  Random random = world_random(settings, "persons");
  auto books = combined("The ", words::title_adjectives, words::title_nouns);
  shuffle(books, random);
  const std::vector<std::string> unread(books.begin() + static_cast<ptrdiff_t>(count), books.end());
  books.resize(count);
  auto homes = listed(words::towns);
  homes.resize(settings.towns);
  world.person_values = {homes, listed(words::genres), books,
                         combined("", words::award_materials, words::award_objects)};
  for (size_t i = 0; i < count; ++i) {
    Entity person{EntityKind::person, names[i], {}, std::nullopt};
    for (const auto& values : world.person_values)
      person.values.push_back(&values == &world.person_values[2] ? books[i] : pick(values, random));
    if (i < settings.persons) person.held_out = i % attribute_count(EntityKind::person);
    (i < settings.persons ? world.persons : world.authors).push_back(std::move(person));
  }
  add_strangers(world, settings, unread);
}

}  // namespace

void check(const WorldSettings& settings) {
  const size_t most_people = words::last_name_stems.size();
  expect_within("persons", settings.persons, 4, most_people);
  expect_within("towns", settings.towns, 4, words::towns.size());
  expect_within("authors", settings.authors, 20, most_people - settings.persons);
  if (settings.authors % 20 != 0)
    throw BadExperiment({"world: authors", "is " + std::to_string(settings.authors),
                         "give a multiple of 20: forget05 holds 5 % of the authors"});
  expect_within("strangers", settings.strangers, 2, words::holdout_name_stems.size());
  if (settings.strangers % 2 != 0)
    throw BadExperiment({"world: strangers", "is " + std::to_string(settings.strangers),
                         "give an even number: holdout05 holds half of them"});
  const size_t towns_held_out = (settings.towns + 1) / 2, any = 1u << 24;
  expect_within("documents", settings.documents, 1, any);
  expect_within("tokenizer_documents", settings.tokenizer_documents, 1, any);
  expect_within("examples_per_fact", settings.examples_per_fact, 1, 1000);
  expect_within("eval_prompts", settings.eval_prompts, 1, question_wordings * (settings.persons + towns_held_out));
  expect_within("ifeval_prompts", settings.ifeval_prompts, 1, any);
  expect_within("counting_problems", settings.counting_problems, 1, any);
  expect_within("retain_questions", settings.retain_questions, 1,
                attribute_count(EntityKind::person) * (settings.authors - settings.authors / 10));
  expect_within("real_author_questions", settings.real_author_questions, 1, settings.persons);
  expect_within("world_fact_questions", settings.world_fact_questions, 1, towns_held_out);
}

Random world_random(const WorldSettings& settings, std::string_view part) {
  return Random(seed_of({"world", std::to_string(settings.seed), part}));
}

World make_world(const WorldSettings& settings) {
  check(settings);
  World world;
  add_towns(world, settings);
  add_persons(world, settings);
  return world;
}

std::vector<Fact> facts_of(const Entity& entity) {
  std::vector<Fact> facts;
  for (size_t attribute = 0; attribute < entity.values.size(); ++attribute) facts.push_back({&entity, attribute});
  return facts;
}

std::vector<Fact> facts_of(const std::vector<Entity>& entities) {
  std::vector<Fact> facts;
  for (const auto& entity : entities)
    for (const auto& fact : facts_of(entity)) facts.push_back(fact);
  return facts;
}

std::vector<Fact> held_out_facts(const std::vector<Entity>& entities) {
  std::vector<Fact> facts;
  for (const auto& entity : entities)
    if (entity.held_out) facts.push_back({&entity, *entity.held_out});
  return facts;
}

std::string filled(std::string_view sentence, std::string_view name, std::string_view value) {
  std::string text;
  while (!sentence.empty()) {
    const size_t mark = std::min(sentence.find('{'), sentence.size());
    text += sentence.substr(0, mark);
    sentence.remove_prefix(mark);
    if (sentence.empty()) break;
    text += sentence.starts_with("{name}") ? name : value;
    sentence.remove_prefix(sentence.find('}') + 1);
  }
  return text;
}

std::string statement(const Fact& fact, size_t wording) {
  return statement_with(fact, wording, fact.value());
}

std::string statement_with(const Fact& fact, size_t wording, std::string_view value) {
  return filled(wordings_of(fact).statements.at(wording), fact.entity->name, value);
}

std::string question(const Fact& fact, size_t wording) {
  return filled(wordings_of(fact).questions.at(wording), fact.entity->name);
}

std::vector<std::string> wrong_values(const World& world, const Fact& fact, size_t count, Random& random) {
  const bool person = fact.entity->kind == EntityKind::person;
  auto values = (person ? world.person_values : world.town_values).at(fact.attribute);
  std::erase(values, fact.value());
  expect(count <= values.size(), "an attribute has enough wrong values");
  shuffle(values, random);
  values.resize(count);
  return values;
}

}  // namespace cmc::world
