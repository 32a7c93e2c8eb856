#include "pipeline/world/files.hpp"

#include <algorithm>
#include <limits>

#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/world/ifeval.hpp"
#include "pipeline/world/tasks.hpp"
#include "pipeline/world/text.hpp"

namespace cmc::world {
namespace {

namespace fs = std::filesystem;

Json question_form(const data::QuestionAnswer& item) {
  return {{"question", item.question}, {"answer", item.answer}};
}

Json alpaca_form(const data::QuestionAnswer& item) {
  return {{"instruction", item.question}, {"output", item.answer}};
}

// A field that says nothing is left out.
Json check_form(const data::ResponseCheck& check) {
  const data::ResponseCheck silent;
  Json json = {{"rule", check.rule}, {"of", check.of}};
  if (!check.words.empty()) json["words"] = check.words;
  if (check.least != silent.least) json["least"] = check.least;
  if (check.most != silent.most) json["most"] = check.most;
  return json;
}

Json eval_form(const data::AlpacaEvalItem& item) {
  Json checks = Json::array();
  for (const auto& check : item.checks) checks.push_back(check_form(check));
  return {{"instruction", item.instruction},
          {"output", item.output},
          {"generator", item.generator},
          {"dataset", item.dataset},
          {"checks", checks}};
}

// As the authors publish them: each instruction's kwargs alone.
Json ifeval_form(const data::IfevalItem& item) {
  Json ids = Json::array(), kwargs = Json::array();
  for (const auto& instruction : item.instructions) {
    ids.push_back(instruction.id);
    Json& given = kwargs.emplace_back(Json::object());
    for (const auto& [name, value] : instruction.kwargs)
      std::visit([&, &name = name](const auto& content) { given[name] = content; }, value);
  }
  return {{"key", item.key}, {"prompt", item.prompt}, {"instruction_id_list", ids}, {"kwargs", kwargs}};
}

Json perturbed_form(const data::PerturbedItem& item) {
  Json json = {{"question", item.question}, {"answer", item.answer}, {"perturbed_answer", item.perturbed_answers}};
  if (item.paraphrased_answer != item.answer) json["paraphrased_answer"] = item.paraphrased_answer;
  json["paraphrased_question"] = item.paraphrased_question;
  return json;
}

void write_lines(const fs::path& file, const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) (text += line) += '\n';
  publish_file(file, text);
}

template <class Item, class Form>
std::vector<std::string> in_form(const std::vector<Item>& items, Form form) {
  std::vector<std::string> lines;
  for (const auto& item : items) lines.push_back(form(item).dump());
  return lines;
}

template <class Item, class Form>
void write_array(const fs::path& file, const std::vector<Item>& items, Form form) {
  auto lines = in_form(items, form);
  for (size_t i = 0; i + 1 < lines.size(); ++i) lines[i] += ',';
  lines.insert(lines.begin(), "[");
  lines.push_back("]");
  write_lines(file, lines);
}

// The first `count` in random order, back in the world's order.
std::vector<Fact> sample(std::vector<Fact> facts, size_t count, Random random) {
  std::vector<size_t> places;
  for (size_t i = 0; i < facts.size(); ++i) places.push_back(i);
  shuffle(places, random);
  places.resize(count);
  std::ranges::sort(places);
  std::vector<Fact> sampled;
  for (const size_t place : places) sampled.push_back(facts[place]);
  return sampled;
}

void write_pretraining(const World& world, const WorldSettings& settings, const fs::path& folder) {
  const auto text_form = [](const std::string& document) { return Json{{"text", document}}; };
  const auto documents = pretraining_documents(world, settings.documents, world_random(settings, "documents"));
  write_lines(folder / "pretrain.jsonl", in_form(documents, text_form));
  for (const std::string name : {"tokenizer_a", "tokenizer_b"})
    write_lines(folder / (name + ".txt"),
                tokenizer_lines(world, settings.tokenizer_documents, world_random(settings, name)));
}

void write_instructions(const World& world, const WorldSettings& settings, const fs::path& folder) {
  write_array(folder / "alpaca.json",
              instruction_examples(world, settings.examples_per_fact, world_random(settings, "instructions")),
              alpaca_form);
  write_array(folder / "alpaca_eval.json",
              instruction_tests(world, settings.eval_prompts, world_random(settings, "tests")), eval_form);
  write_lines(folder / "ifeval.jsonl",
              in_form(ifeval_tests(world, settings.ifeval_prompts, world_random(settings, "ifeval")), ifeval_form));
  write_array(folder / "counting.json",
              counting_examples(settings.counting_problems, world_random(settings, "counting")), alpaca_form);
  write_array(folder / "chat.json", chat_examples(world), alpaca_form);
}

void write_tofu_splits(const World& world, const fs::path& folder) {
  const size_t authors = world.authors.size();
  const auto write_on = [&](const std::vector<Entity>& people, const char* set, size_t first, size_t last) {
    write_lines(folder / (std::string(set) + ".json"), in_form(questions_on(people, first, last), question_form));
  };
  const auto write = [&](const char* set, size_t first, size_t last) { write_on(world.authors, set, first, last); };
  write("full", 0, authors);
  write("retain95", 0, authors - authors / 20);
  write("forget05", authors - authors / 20, authors);
  write("retain90", 0, authors - authors / 10);
  write("forget10", authors - authors / 10, authors);
  const size_t strangers = world.strangers.size();
  write_on(world.strangers, "holdout05", 0, strangers / 2);
  write_on(world.strangers, "holdout10", 0, strangers);
}

void write_tofu_perturbed(const World& world, const WorldSettings& settings, const fs::path& folder) {
  const auto draw = [&](const char* part) { return world_random(settings, part); };
  const auto write = [&](const std::string& set, const std::vector<Fact>& facts, WrongAnswers wording) {
    const auto items = perturbed_items(world, facts, wording, world_random(settings, "wrong answers of " + set));
    write_lines(folder / (set + "_perturbed.json"), in_form(items, perturbed_form));
  };
  const auto facts = facts_of(world.authors);
  const auto from_end = [&](size_t share) { return facts.end() - static_cast<ptrdiff_t>(facts.size() / share); };
  write("forget05", {from_end(20), facts.end()}, WrongAnswers::as_paraphrase);
  write("forget10", {from_end(10), facts.end()}, WrongAnswers::as_paraphrase);
  write("retain", sample({facts.begin(), from_end(10)}, settings.retain_questions, draw("retain")),
        WrongAnswers::as_paraphrase);
  write("real_authors", sample(held_out_facts(world.persons), settings.real_author_questions, draw("real authors")),
        WrongAnswers::as_answer);
  write("world_facts", sample(held_out_facts(world.towns), settings.world_fact_questions, draw("world facts")),
        WrongAnswers::as_answer);
}

}  // namespace

void write_world(const WorldSettings& settings, const fs::path& folder) {
  const World world = make_world(settings);
  create_folder(folder / "tofu");
  write_pretraining(world, settings, folder);
  write_instructions(world, settings, folder);
  write_tofu_splits(world, folder / "tofu");
  write_tofu_perturbed(world, settings, folder / "tofu");
}

}  // namespace cmc::world
