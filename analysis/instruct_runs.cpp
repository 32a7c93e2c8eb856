#include "analysis/instruct_runs.hpp"

#include <algorithm>

#include "analysis/unit_values.hpp"

namespace cmc::analysis {
namespace {

void take_unit(const store::Unit& unit, InstructRuns& runs) {
  const auto log_prob = numbers(unit, "reference_logprob"), tokens = numbers(unit, "reference_tokens");
  const auto stopped = numbers(unit, "stopped"), repetition = numbers(unit, "repetition");
  const auto lengths = sequence_lengths(unit, "response_tokens");
  const auto prompts = texts(unit, "prompt"), responses = texts(unit, "response");
  const size_t rows = std::max(log_prob.size(), responses.size());
  for (size_t row = 0; row < rows; ++row) {
    InstructAnswer answer;
    if (at(tokens, row) > 0) answer.reference_per_token = at(log_prob, row) / at(tokens, row);
    answer.stopped = at(stopped, row);
    answer.repetition = at(repetition, row);
    answer.length = at(lengths, row);
    answer.prompt = at(prompts, row);
    answer.response = at(responses, row);
    runs[system_of(unit, row)][item_of(unit, row)] = std::move(answer);
  }
}

}  // namespace

InstructRuns collect_instruct(const store::Results& results) {
  InstructRuns runs;
  for (const System& system : expected_systems(results.header.experiment, "instruct")) runs[system];
  for (const auto& unit : results.units)
    if (unit.stage == "instruct") take_unit(unit, runs);
  return runs;
}

}  // namespace cmc::analysis
