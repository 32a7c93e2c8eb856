#include "pipeline/train/frozen_model.hpp"

namespace cmc::train {

LogitTerm frozen_term(const FrozenModel& frozen, std::span<const Example* const> examples) {
  const torch::Tensor states = frozen.states ? frozen.states->states(examples) : frozen_states(*frozen.model, examples);
  return {states, frozen.model->output_weight(), frozen.coefficient, frozen.model->config().final_softcap,
          frozen.model->output_bias()};
}

std::vector<LogitTerm> frozen_terms(const std::vector<FrozenModel>& frozen, std::span<const Example* const> examples) {
  std::vector<LogitTerm> terms;
  for (const FrozenModel& each : frozen) terms.push_back(frozen_term(each, examples));
  return terms;
}

}  // namespace cmc::train
