#include "stages/planning/tofu_tasks.hpp"

#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/prompts.hpp"

namespace cmc::stages {

TofuFile forget_file(const Experiment& experiment) {
  return {"forget", experiment.train_unlearn.forget + "_perturbed"};
}

TofuFile retain_file() {
  return {"retain", "retain_perturbed"};
}

std::string tofu_task_name(const std::string& set, const records::Slice& slice, const records::System& system) {
  return "TOFU " + set + " " + shown(slice) + " " + describe_curve(system);
}

records::UnlearnParameters tofu_parameters(Planner& planner, const Evaluated& evaluated,
                                           const std::vector<double>& strengths, const TofuFile& file,
                                           const records::Slice& slice, distributed::Task& task) {
  const auto& experiment = planner.experiment();
  records::UnlearnParameters p{evaluation_of(planner, evaluated, strengths, task),
                               file.set,
                               file.stem,
                               slice,
                               planner.file(experiment.given(experiment.data.tofu) / (file.stem + ".json")),
                               experiment.unlearn.new_tokens,
                               experiment.train_unlearn.max_tokens,
                               tofu_prompt(experiment.unlearn),
                               experiment.unlearn.compat};
  const auto rows = static_cast<double>(slice.count) * static_cast<double>(p.evaluation.strengths.size());
  const auto& config = planner.config(evaluated.system.target);
  task.seconds =
      forward_seconds(footprint_of(config).weights(), rows * 1.5 * static_cast<double>(p.new_tokens) + rows * 6 * 80);
  planner.takes(task, evaluated.system.target, decoding_bytes(experiment, config, 80 + p.new_tokens));
  return p;
}

}  // namespace cmc::stages
