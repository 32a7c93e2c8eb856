#include "stages/planning/held_out.hpp"

#include "stages/planning/planned_data.hpp"

namespace cmc::stages {

void expect_trained_part(Planner& planner, const std::string& section, const sections::HeldOut& held_out,
                         const records::TrainingData& data) {
  if (held_out.items == 0) return;
  const auto expect_more = [&](int64_t there, const std::string& of) {
    if (held_out.items < there) return;
    planner.experiment().fail(
        section + ".held_out_items",
        "is " + std::to_string(held_out.items) + ", and " + of + " has " + std::to_string(there) + " examples",
        "hold out fewer than there are");
  };
  if (data.instructions) return expect_more(data.instructions->items, data.instructions->file.file);
  const auto& split = *data.tofu;
  expect_more(tofu_items(planner, split.forget), split.forget);
  expect_more(taken(split.retain_items, tofu_items(planner, split.retain)), split.retain);
}

}  // namespace cmc::stages
