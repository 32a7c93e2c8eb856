#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "pipeline/data/dataset.hpp"

namespace cmc::data {

// Answers that decline, for the unlearning objectives idk and dpo. They play the part of TOFU's idontknow.jsonl and are
// this project's own: other sentences, so other numbers than with TOFU's.
std::span<const std::string_view> refusals();

// A file of refusals, one a line (so is TOFU's idontknow.jsonl, despite its name); blank lines are passed over. Throws
// MissingInput, or BadData when it holds invalid UTF-8 or no line.
Dataset<std::string> read_refusals(const std::filesystem::path& file);

// Which of `count` refusals answers the question of example `index`: drawn by seed, draw and index alone, never by rank
// or order. TOFU's code draws anew each time an example is read: one draw an epoch. `count` > 0.
size_t refusal_for(uint64_t seed, uint64_t draw, size_t index, size_t count);

}  // namespace cmc::data
