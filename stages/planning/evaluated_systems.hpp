#pragma once
#include <string>
#include <vector>

#include "pipeline/records/evaluation_parameters.hpp"
#include "stages/planning/planner.hpp"

namespace cmc::stages {

// A system that tasks evaluate, at the experiment's strengths.
struct Evaluated {
  records::System system;  // without a strength
  records::Purpose purpose;
  records::ModelReference model;  // the base
  bool is_variant = false;        // an ablation: measured at the strength nearest to 1 alone
};
// The systems that the experiment's methods.<purpose> and deltas.<purpose> make of a target.
std::vector<Evaluated> systems_on(Planner& planner, const std::string& target, records::Purpose purpose);

// What the base reads of a question of instruct and ifeval. A tuned target reads what it was tuned on, whatever its
// vocabulary. `questions`: those that are known to be asked. Throws as Planner::prompt.
records::Prompt instruct_prompt(Planner& planner, const records::System& system,
                                const std::vector<std::string>& questions);

// What a delta of another vocabulary, or a contrast, reads of a question of instruct and ifeval. Throws BadExperiment
// where a contrast would read what the base reads.
records::Prompt delta_prompt(Planner& planner, const records::System& system,
                             const std::vector<std::string>& questions);

// Its parameters; adds the inputs and the residency to `task`.
records::Evaluation evaluation_of(Planner& planner, const Evaluated& evaluated, const std::vector<double>& strengths,
                                  distributed::Task& task);

}  // namespace cmc::stages
