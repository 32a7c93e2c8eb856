#include "analysis/instruct_runs.hpp"

#include <algorithm>
#include <cmath>

#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

void take_unit(const store::Unit& unit, InstructRuns& runs) {
  const auto log_prob = numbers(unit, "reference_logprob"), tokens = numbers(unit, "reference_tokens");
  const auto stopped = numbers(unit, "stopped"), repetition = numbers(unit, "repetition");
  const auto followed = numbers(unit, "followed"), fact = numbers(unit, "fact");
  const auto lengths = sequence_lengths(unit, "response_tokens");
  const auto prompts = texts(unit, "prompt"), responses = texts(unit, "response");
  const size_t rows = std::max(log_prob.size(), responses.size());
  for (size_t row = 0; row < rows; ++row) {
    InstructAnswer answer;
    if (at(tokens, row) > 0) answer.reference_per_token = at(log_prob, row) / at(tokens, row);
    answer.stopped = at(stopped, row);
    answer.repetition = at(repetition, row);
    answer.length = at(lengths, row);
    answer.followed = at(followed, row);
    answer.fact = at(fact, row);
    answer.prompt = at(prompts, row);
    answer.response = at(responses, row);
    runs[system_of(unit, row)][item_of(unit, row)] = std::move(answer);
  }
}

}  // namespace

double InstructAnswer::strict() const {
  const double all = followed + fact + stopped;
  return std::isnan(all) ? unknown : all == 3 ? 1 : 0;
}

InstructRuns collect_instruct(const store::Results& results, const std::string& prompts) {
  InstructRuns runs;
  for (const auto& unit : results.units) {
    const bool checked = text_of(unit.task, "prompts") == "checked";
    if (unit.stage == "instruct" && checked == (prompts == "checked")) take_unit(unit, runs);
  }
  add_expected(results, "instruct", runs);
  return runs;
}

}  // namespace cmc::analysis
