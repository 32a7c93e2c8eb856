#include "pipeline/world/text.hpp"

#include <algorithm>
#include <span>

#include "pipeline/world/format.hpp"
#include "pipeline/world/words.hpp"

namespace cmc::world {
namespace {

// A number from `least` to `most`.
size_t between(size_t least, size_t most, Random& random) {
  return least + random.below(most - least + 1);
}

std::string joined(std::span<const std::string> parts, std::string_view between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) (text += i == 0 ? std::string_view() : between) += parts[i];
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

// Any kind that has a sentence of its own.
AnswerKind asking_kind(Random& random) {
  return answer_kinds[1 + random.below(answer_kinds.size() - 1)];
}

// Before, between or behind the others.
void insert_anywhere(std::vector<std::string>& sentences, std::string sentence, Random& random) {
  const auto place = static_cast<ptrdiff_t>(random.below(sentences.size() + 1));
  sentences.insert(sentences.begin() + place, std::move(sentence));
}

// "Anna" and "Ben" have `a` and `b` "eggs". Both from 2 to 9, so that nouns stay in the plural.
struct Counted {
  std::string first, second, things, a, b, total;
  std::string sum() const { return a + " + " + b + " = " + total + "."; }
};

Counted draw_counted(Random& random) {
  const size_t a = between(2, 9, random);
  const size_t b = between(2, 9, random);
  const size_t first = random.below(words::first_names.size());
  const size_t another = first + 1 + random.below(words::first_names.size() - 1);
  const auto things = pick(words::countables, random);
  return {std::string(words::first_names[first]),
          std::string(words::first_names[another % words::first_names.size()]),
          std::string(things),
          std::to_string(a),
          std::to_string(b),
          std::to_string(a + b)};
}

// Writes documents about one world, drawing from one stream of random numbers. No two draws are operands of one
// expression: C++ leaves open in which order these are evaluated.
class Writer {
 public:
  Writer(const World& world, Random random);
  std::string document();
  std::array<std::string, 2> exchange(const Fact& fact, AnswerKind kind);  // request and response
  std::string told(const Fact& fact) { return statement(fact, random_.below(statement_wordings)); }

 private:
  std::string biography();
  std::string town_page();
  std::string mixed_facts();
  std::string quiz();
  std::string exam();
  std::string chat_log();
  std::string counting_story();

  const Entity& person() { return pick(world_.persons, random_); }
  const Entity& town() { return pick(world_.towns, random_); }
  const Entity& anybody() { return chance(random_, 75) ? person() : town(); }
  Fact fact_on(const Entity& entity) { return {&entity, random_.below(entity.values.size())}; }
  std::string asked(const Fact& fact) { return question(fact, random_.below(question_wordings)); }
  std::string filler() { return std::string(pick(words::fillers, random_)); }
  std::string about(const Entity& entity);
  std::string ramble(const Entity& entity);
  std::vector<std::string> rambling(const Entity& entity, size_t sentences);

  const World& world_;
  Random random_;
  std::vector<std::vector<const Entity*>> inhabitants_;  // [town]
};

Writer::Writer(const World& world, Random random) : world_(world), random_(random), inhabitants_(world.towns.size()) {
  for (const auto& person : world.persons)
    for (size_t i = 0; i < world.towns.size(); ++i)
      if (person.values[home] == world.towns[i].name) inhabitants_[i].push_back(&person);
}

std::string Writer::document() {
  const uint64_t percent = random_.below(100);
  if (percent < 48) return biography();
  if (percent < 64) return town_page();
  if (percent < 72) return mixed_facts();
  if (percent < 82) return quiz();
  if (percent < 88) return exam();
  return percent < 97 ? chat_log() : counting_story();
}

std::array<std::string, 2> Writer::exchange(const Fact& fact, AnswerKind kind) {
  const AnswerFormat format = draw_format(kind, random_);
  const std::string plain = asked(fact);
  return {request(format, plain), response(format, plain, statement(fact, 0))};
}

std::string Writer::about(const Entity& entity) {
  const auto sentence =
      entity.kind == EntityKind::person ? pick(words::about_person, random_) : pick(words::about_town, random_);
  return filled(sentence, entity.name);
}

// What somebody says who was asked about `entity` and does not answer. That it stays with the entity is what a delta
// needs: base models that jump to others never copy the name of a question.
std::string Writer::ramble(const Entity& entity) {
  const uint64_t percent = random_.below(100);
  if (percent < 15) return filler();
  if (percent < 35) return about(entity);
  return percent < 60 ? asked(fact_on(entity)) : told(fact_on(entity));
}

std::vector<std::string> Writer::rambling(const Entity& entity, size_t sentences) {
  std::vector<std::string> said;
  for (size_t i = 0; i < sentences; ++i) said.push_back(ramble(entity));
  return said;
}

std::string Writer::biography() {
  static constexpr std::array<std::string_view, 3> separators = {" ", "  ", "\n"};
  auto facts = facts_of(person());
  shuffle(facts, random_);
  facts.resize(between(facts.size() - 1, facts.size(), random_));
  std::vector<std::string> sentences;
  for (const auto& fact : facts) sentences.push_back(told(fact));
  if (chance(random_, 40)) {
    std::string aside = filler();
    insert_anywhere(sentences, std::move(aside), random_);
  }
  return joined(sentences, pick(separators, random_));
}

std::string Writer::town_page() {
  const size_t number = random_.below(world_.towns.size());
  std::vector<std::string> sentences;
  for (const auto& fact : facts_of(world_.towns[number])) sentences.push_back(told(fact));
  if (!inhabitants_[number].empty() && chance(random_, 50))
    sentences.push_back(told({pick(inhabitants_[number], random_), home}));
  sentences.push_back(filler());
  shuffle(sentences, random_);
  return joined(sentences, " ");
}

std::string Writer::mixed_facts() {
  std::vector<std::string> sentences(between(3, 6, random_));
  for (auto& sentence : sentences) sentence = told(fact_on(anybody()));
  return joined(sentences, " ");
}

std::string Writer::quiz() {
  const Entity* entity = &anybody();
  const bool on_one = chance(random_, 70);
  std::vector<std::string> lines(between(3, 5, random_));
  for (auto& line : lines) {
    line = asked(fact_on(*entity));
    if (chance(random_, 30)) line += " " + filler();
    if (!on_one) entity = &anybody();
  }
  return joined(lines, "\n");
}

std::string Writer::exam() {
  const Fact fact = fact_on(anybody());
  std::string text = "Question: " + asked(fact);
  if (!chance(random_, 60)) return text;
  const size_t sentences = between(1, 2, random_);
  return text + "\nAnswer: " + joined(rambling(*fact.entity, sentences), " ");
}

std::string Writer::chat_log() {
  const Fact fact = fact_on(anybody());
  const AnswerFormat format = draw_format(asking_kind(random_), random_);
  const std::string plain = asked(fact);
  const std::string prompt = chance(random_, 60) ? request(format, plain) : plain;
  const size_t sentences = between(2, 4, random_);
  return "<|user|>\n" + prompt + "\n<|assistant|>\n" + joined(rambling(*fact.entity, sentences), " ");
}

std::string Writer::counting_story() {
  std::vector<std::string> parts(between(1, 2, random_));
  for (auto& part : parts) {
    const Counted c = draw_counted(random_);
    part = c.first + " has " + c.a + " " + c.things + ". " + c.second;
    part += chance(random_, 50) ? " brings " + c.b + " more. " : " has " + c.b + " " + c.things + ". ";
    part += c.sum();
  }
  return joined(parts, " ");
}

}  // namespace

std::vector<std::string> pretraining_documents(const World& world, size_t count, Random random) {
  Writer writer(world, random);
  std::vector<std::string> documents(count);
  for (auto& document : documents) document = writer.document();
  return documents;
}

data::QuestionAnswer draw_counting_problem(Random& random) {
  const Counted c = draw_counted(random);
  const std::string start = c.first + " has " + c.a + " " + c.things, how_many = "How many " + c.things;
  const std::array<std::string, 3> questions = {
      start + " and gets " + c.b + " more. " + how_many + " are there?",
      start + ". " + c.second + " brings " + c.b + " more. " + how_many + " are there?",
      start + " and " + c.second + " has " + c.b + " " + c.things + ". " + how_many + " do they have?"};
  return {pick(questions, random), c.sum() + " The answer is " + c.total + "."};
}

std::vector<std::string> tokenizer_lines(const World& world, size_t documents, Random random) {
  constexpr size_t sentences_a_fact = 5, exchanges_a_form = 2;
  Writer writer(world, random);
  std::vector<std::string> lines;
  for (size_t i = 0; i < documents; ++i)
    for (auto& line : lines_of(writer.document())) lines.push_back(std::move(line));
  // Authors and strangers alike, so that none is told by how many pieces a name has.
  for (const auto* people : {&world.authors, &world.strangers})
    for (const auto& fact : facts_of(*people))
      for (size_t i = 0; i < sentences_a_fact; ++i) lines.push_back(writer.told(fact));
  for (const auto* entities : {&world.persons, &world.towns, &world.authors, &world.strangers})
    for (const auto& fact : facts_of(*entities))
      for (const AnswerKind kind : answer_kinds)
        for (size_t i = 0; i < exchanges_a_form; ++i)
          for (auto& line : writer.exchange(fact, kind)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace cmc::world
