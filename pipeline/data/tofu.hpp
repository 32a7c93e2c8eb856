#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// TOFU (Maini et al. 2024, locuslab/TOFU): JSON lines, one object a line.

// One item of a `_perturbed` set.
struct PerturbedItem {
  std::string question;
  std::string answer;
  std::string paraphrased_answer;              // the file's, else `answer` (real_authors, world_facts)
  std::vector<std::string> perturbed_answers;  // wrong answers, at least one: 5, or 3 in the two real sets
  std::string paraphrased_question = {};       // "" where the file has none
};

// `folder`/`set`.json or .jsonl with `question` and `answer`: full, forget01/05/10, retain90/95/99, real_authors,
// world_facts, and holdout01/05/10, which open-unlearning's models have not read. Fields beside these two are left
// alone. Throws MissingInput naming the sets that are there, or BadData naming file, line and field: not JSON, no
// UTF-8, no object, a field missing, empty or of another type, no line at all.
Dataset<QuestionAnswer> read_tofu(const std::filesystem::path& folder, std::string_view set, size_t limit = all_items);

// `folder`/`set`.json with `perturbed_answer` (a list) too, and `paraphrased_answer` and
// `paraphrased_question` where there are. The published
// evaluation reads the first 300 of retain_perturbed, forget10_perturbed, real_authors_perturbed,
// world_facts_perturbed.
Dataset<PerturbedItem> read_tofu_perturbed(const std::filesystem::path& folder, std::string_view set,
                                           size_t limit = all_items);

// A `_perturbed` set as read_tofu_perturbed reads it, another one as read_tofu: each item is its own paraphrase then,
// and has no wrong answers.
Dataset<PerturbedItem> read_tofu_any(const std::filesystem::path& folder, std::string_view set);

// What is kept when `forget_set` is forgotten: "forget01" gives "retain99". Throws BadData for any other name.
std::string retain_set_of(std::string_view forget_set);

// The retained example that goes with forget example `index` in `epoch`: (index + random) modulo `retain_count`, as
// published (TOFU's TextForgetDatasetQA). The number drawn depends on seed, epoch and index alone, never on rank or
// order. `retain_count` > 0.
size_t retain_partner(uint64_t seed, uint64_t epoch, size_t index, size_t retain_count);

// Throws BadData naming the first question that both sets hold: a retained set must not teach what is forgotten.
void expect_disjoint(const Dataset<QuestionAnswer>& forget, const Dataset<QuestionAnswer>& retain);

}  // namespace cmc::data
