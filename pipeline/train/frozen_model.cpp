#include "pipeline/train/frozen_model.hpp"

namespace cmc::train {

LogitTerm logit_term(const model::DecoderModel& model, const torch::Tensor& states, double coefficient,
                     const VocabularyPart& part) {
  return {states, part.rows_of(model.output_weight()), coefficient, model.config().final_softcap,
          part.rows_of(model.output_bias())};
}

LogitTerm frozen_term(const FrozenModel& frozen, std::span<const Example* const> examples, const VocabularyPart& part) {
  const torch::Tensor states = frozen.states ? frozen.states->states(examples) : frozen_states(*frozen.model, examples);
  LogitTerm term = logit_term(*frozen.model, states, frozen.coefficient, part);
  const torch::NoGradGuard no_grad;
  if (!part.is_split()) term.packed = frozen.model->packed_output(states);
  return term;
}

std::vector<LogitTerm> frozen_terms(const std::vector<FrozenModel>& frozen, std::span<const Example* const> examples,
                                    const VocabularyPart& part) {
  std::vector<LogitTerm> terms;
  for (const FrozenModel& each : frozen) terms.push_back(frozen_term(each, examples, part));
  return terms;
}

}  // namespace cmc::train
