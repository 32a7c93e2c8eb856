#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/random.hpp"

namespace cmc::world {

// A small world in plain English, made from one seed: who lives where, wrote what, which town lies on which river.
// Models of half a million parameters learn all of it, and since every fact is known, what they answer can be checked.
// A world, and everything drawn from it, is the same on every platform.

struct WorldSettings {
  uint64_t seed = 1;
  size_t persons = 60;                // known from the pre-training text; with the authors at most 100
  size_t authors = 40;                // fictitious, as TOFU's; a multiple of 20, so that 5 % are whole authors
  size_t strangers = 4;               // fictitious, and in no text; at most 12, an even number
  size_t towns = 20;                  // 4 to 20
  size_t documents = 20000;           // of pre-training text, about 45 tokens each
  size_t tokenizer_documents = 2000;  // for each of the two vocabularies
  size_t examples_per_fact = 8;       // instruction examples of each fact that is not held out
  size_t eval_prompts = 80;           // at most three a held-out fact
  size_t ifeval_prompts = 40;
  size_t counting_problems = 1500;
  size_t retain_questions = 40;       // of the retained authors, in retain_perturbed; at most 4 an author
  size_t real_author_questions = 40;  // held-out facts on persons; at most one a person
  size_t world_fact_questions = 10;   // held-out facts on towns; at most one for two towns
};

// Throws BadExperiment naming the setting and its range.
void check(const WorldSettings& settings);

// An own stream of random numbers for each `part` of what is drawn: the size of one part changes no other.
Random world_random(const WorldSettings& settings, std::string_view part);

enum class EntityKind { person, town };

// Attributes of a person: home town, genre, book, award; of a town: river, product.
constexpr size_t attribute_count(EntityKind kind) {
  return kind == EntityKind::person ? 4 : 2;
}
inline constexpr size_t home = 0;  // the attribute of a person whose value is a town

struct Entity {
  EntityKind kind = EntityKind::person;
  std::string name;                 // "Clara Ashford", "Amberport"; unique in the world
  std::vector<std::string> values;  // [attribute_count(kind)]
  std::optional<size_t> held_out;   // the attribute that no fine-tuning example tells; none for authors and some towns
};

struct World {
  std::vector<Entity> persons, towns, authors;
  std::vector<Entity> strangers;  // as authors, and in no text that a model reads
  // Every value that an attribute can have, [attribute]: for wrong answers.
  std::vector<std::vector<std::string>> person_values, town_values;
};

World make_world(const WorldSettings& settings);

// What the world knows about `entity`, which must outlive the fact.
struct Fact {
  const Entity* entity;
  size_t attribute;
  const std::string& value() const { return entity->values[attribute]; }
  bool is_held_out() const { return entity->held_out == attribute; }
};

std::vector<Fact> facts_of(const Entity& entity);
std::vector<Fact> facts_of(const std::vector<Entity>& entities);  // in order: all of the first entity, …
std::vector<Fact> held_out_facts(const std::vector<Entity>& entities);

inline constexpr size_t statement_wordings = 4;  // 0: the answer that is taught; 1: its paraphrase
inline constexpr size_t question_wordings = 3;

// "Clara Ashford lives in Amberport."; `value` in place of the right one, for wrong answers.
std::string statement(const Fact& fact, size_t wording);
std::string statement_with(const Fact& fact, size_t wording, std::string_view value);
// "Where does Clara Ashford live?"
std::string question(const Fact& fact, size_t wording);

// `count` different values that `fact` could have and has not. Throws Internal where there are not so many.
std::vector<std::string> wrong_values(const World& world, const Fact& fact, size_t count, Random& random);

// `sentence` with "{name}" and "{value}" replaced.
std::string filled(std::string_view sentence, std::string_view name, std::string_view value = {});

// One of `items`; true in `percent` of 100 draws.
template <class Sequence>
const auto& pick(const Sequence& items, Random& random) {
  return items[random.below(items.size())];
}
inline bool chance(Random& random, uint64_t percent) {
  return random.below(100) < percent;
}

}  // namespace cmc::world
