#pragma once
#include <cstddef>
#include <vector>

#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/dataset.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/world/world.hpp"

namespace cmc::world {

// What is learned and asked about a world. Persons and every second town keep one fact each out of all fine-tuning: a
// right answer on it can only come from pre-training. (Whole persons held out would not do: fine-tuning pushes down the
// names that it never sees.)

// Instruction examples: every fact that is not held out, in `per_fact` random wordings and forms, shuffled.
std::vector<data::QuestionAnswer> instruction_examples(const World& world, size_t per_fact, Random random);

// What persons and towns keep out of fine-tuning, shuffled.
std::vector<Fact> held_out_facts_shuffled(const World& world, Random& random);

// The test of instruction following: held-out facts, each once before any a second time, the five forms in turn. No
// prompt occurs twice for `count` up to three times the held-out facts.
std::vector<data::AlpacaEvalItem> instruction_tests(const World& world, size_t count, Random random);

std::vector<data::QuestionAnswer> counting_examples(size_t count, Random random);

// Facts that are not held out, in first wordings, without a form: how a chat model answers.
std::vector<data::QuestionAnswer> chat_examples(const World& world);

// All questions on the people from `first` up to `last`, in first wordings.
std::vector<data::QuestionAnswer> questions_on(const std::vector<Entity>& people, size_t first, size_t last);

// As in TOFU: on authors, the paraphrase and three wrong answers in its wording; on real persons and towns, three wrong
// answers in the answer's own wording, and no other paraphrase.
enum class WrongAnswers { as_paraphrase, as_answer };
std::vector<data::PerturbedItem> perturbed_items(const World& world, const std::vector<Fact>& facts,
                                                 WrongAnswers wording, Random random);

}  // namespace cmc::world
