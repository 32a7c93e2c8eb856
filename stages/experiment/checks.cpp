// What the keys of an experiment file must say together; each by itself is checked where it is read (filling.hpp).
#include <algorithm>

#include "pipeline/core/date.hpp"
#include "pipeline/core/error.hpp"
#include "stages/experiment/experiment.hpp"
#include "stages/experiment/variables.hpp"

namespace cmc::stages {

using records::Method, records::Purpose;

void Experiment::check() const {
  if (fusion.top > 0 && std::ranges::count(token_map.methods, "one_to_many") == 0)
    fail("fusion.top", "is " + std::to_string(fusion.top) + ", but no map is one_to_many",
         "add one_to_many to token_map.method, or leave it out");
  if (!is_date(about.date))
    fail("experiment.date", "is " + about.date + ", not a day", "write year-month-day, e.g. 2024-07-26");
  if (!has_world())
    for (const auto& [key, value] : values_)
      if (uses_world(value))
        fail(key, "uses ${world}, but the experiment makes none", "add [world] with its documents");
  check_models();
  check_deltas();
  check_judge();
  check_robustness();
  check_held_out("train_instruct", train_instruct.held_out), check_held_out("train_unlearn", train_unlearn.held_out);
  check_held_out("adapt_instruct", adapt_instruct.held_out), check_held_out("adapt_unlearn", adapt_unlearn.held_out);
}

void Experiment::check_models() const {
  const auto expect_section = [&](const std::string& key, const std::string& name) {
    if (!model.contains(name))
      fail(key, "names " + name + ", which has no section",
           "add [model." + name + "] with its path, or with its sizes to pre-train it");
  };
  expect_section("models.template", models.template_model);
  for (const auto& one : models.targets) expect_section("models.targets", one);
  if (!models.unlearn_template.empty()) expect_section("models.unlearn_template", models.unlearn_template);
  for (const auto& one : models.unlearn_targets) expect_section("models.unlearn_targets", one);
  for (const auto& pair : similarity.pairs)
    for (const auto& one : {pair.reference, pair.other}) expect_section("similarity.pairs", one);
  for (const auto& [name, section] : model)
    if (section.path.empty()) check_made("model." + name, section.sizes);
}

// A Llama that is made here: rotary positions turn pairs of numbers of a head.
void Experiment::check_made(const std::string& section, const sections::Sizes& sizes) const {
  const auto expect_set = [&](const char* key, int64_t value) {
    if (value == 0)
      fail(section + "." + key, "is missing", "give the sizes of a model that is pre-trained here, or its path");
  };
  expect_set("hidden", sizes.hidden), expect_set("layers", sizes.layers);
  expect_set("heads", sizes.heads), expect_set("intermediate", sizes.intermediate);
  if (sizes.hidden % (2 * sizes.heads) != 0)
    fail(section + ".hidden", "is " + std::to_string(sizes.hidden) + ", with " + std::to_string(sizes.heads) + " heads",
         "give a multiple of " + std::to_string(2 * sizes.heads) + ": an even width for each head");
}

void Experiment::check_deltas() const {
  for (const auto purpose : {Purpose::instruct, Purpose::unlearn})
    for (const auto& one : deltas_of(purpose))
      if (!delta.contains(one))
        fail("deltas." + std::string(name_of(purpose)), "names " + one + ", which has no section",
             "add [delta." + one + "]");
  for (const auto purpose : {Purpose::instruct, Purpose::unlearn})
    if (!deltas_of(purpose).empty() && std::ranges::count(methods_of(purpose), Method::composed) &&
        deltas_of(records::other_than(purpose)).empty())
      fail("methods." + std::string(name_of(purpose)), "holds composed, but there is one kind of deltas alone",
           "set deltas." + std::string(name_of(records::other_than(purpose))) + ", or leave composed out");
  for (const auto& [one, section] : delta) {
    const std::string start = start_of(one), key = "delta." + one + ".start";
    if (!delta.contains(start)) fail(key, "names " + start + ", which has no section", "add [delta." + start + "]");
    if (start_of(start) != start)
      fail(key, "names " + start + ", which starts from another delta itself", "name that one");
    if (section.path.empty() && section.start.empty()) check_made("delta." + one, section.sizes);
  }
}

void Experiment::check_judge() const {
  if (judge.model.empty()) return;
  if (!model.contains(judge.model))
    fail("judge.model", "names " + judge.model + ", which has no section",
         "add [model." + judge.model + "] with its path, or with its sizes to pre-train it");
  if (deltas.instruct.empty())
    fail("judge.model", "is set, but there are no responses to judge", "set deltas.instruct, or leave judge.model out");
  if (judge.against == records::Against::vanilla && !std::ranges::count(methods.instruct, Method::vanilla))
    fail("judge.against", "is vanilla, which methods.instruct does not hold",
         "add vanilla to methods.instruct, or set judge.against = reference");
  given(data.alpaca_eval);
}

// Each of these keys means something beside the others alone.
void Experiment::check_held_out(const std::string& section, const sections::HeldOut& held_out) const {
  if (held_out.evaluation_steps > 0 && held_out.items == 0)
    fail(section + ".evaluation_steps", "is " + std::to_string(held_out.evaluation_steps) + ", and nothing is held out",
         "set " + section + ".held_out_items, or leave it out");
  if (held_out.items > 0 && held_out.evaluation_steps == 0)
    fail(section + ".held_out_items", "is " + std::to_string(held_out.items) + ", and nothing is evaluated",
         "set " + section + ".evaluation_steps, or leave it out");
  if (held_out.keep == "best" && held_out.evaluation_steps == 0)
    fail(section + ".keep", "is best, and nothing is evaluated",
         "set " + section + ".evaluation_steps and .held_out_items, or leave it out");
}

// What it names and the experiment does not evaluate is not tested; something must be left.
void Experiment::check_robustness() const {
  if (robustness.tests.empty() || deltas.unlearn.empty()) return;
  for (const auto& one : robustness.deltas)
    if (!delta.contains(one))
      fail("robustness.deltas", "names " + one + ", which has no section", "add [delta." + one + "]");
  const auto none_of = [](const auto& some, const auto& all) {
    return !some.empty() &&
           std::ranges::none_of(some, [&](const auto& one) { return std::ranges::count(all, one) > 0; });
  };
  if (none_of(robustness.methods, methods.unlearn))
    fail("robustness.methods", "holds none of methods.unlearn", "name one of these, or leave it out");
  if (none_of(robustness.deltas, deltas.unlearn))
    fail("robustness.deltas", "holds none of deltas.unlearn", "name one of these, or leave it out");
}

}  // namespace cmc::stages
