#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "pipeline/data/dataset.hpp"
#include "pipeline/world/world.hpp"

namespace cmc::world {

// `count` documents of pre-training text, to be read as they are; ASCII, one to ten lines. Persons and towns occur,
// fictitious authors do not. A model that has read them knows
//   every fact, in all wordings: biographies (48 %), pages on a town (16 %), mixed facts (8 %), lists of questions
//   (10 %), exam papers "Question: …\nAnswer: …" (6 %), logs of a chat without help (9 %), sums (3 %);
//   the marks of prompts and the sentences that ask for a form, but as text alone: what follows a question is about the
//   same person or town, and never an answer in that form.
std::vector<std::string> pretraining_documents(const World& world, size_t count, Random random);

// "Anna has 3 eggs and gets 4 more. How many eggs are there?" and "3 + 4 = 7. The answer is 7."
data::QuestionAnswer draw_counting_problem(Random& random);

// Lines that a vocabulary is trained on: `documents` documents, every fact on an author in five sentences, every fact
// of the world in two requests and responses of each form. So often does a word that a form asks for occur that even a
// small vocabulary has it whole: where it is cut, a delta asks for its first piece, and every word of a larger
// vocabulary that begins alike is raised with it. The lines depend on the world alone, not on what is held out,
// forgotten or asked, nor on the other documents.
std::vector<std::string> tokenizer_lines(const World& world, size_t documents, Random random);

}  // namespace cmc::world
