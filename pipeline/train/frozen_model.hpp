#pragma once
#include <memory>
#include <span>
#include <vector>

#include "pipeline/model/decoder_model.hpp"
#include "pipeline/train/fused_rows.hpp"
#include "pipeline/train/hidden_store.hpp"

namespace cmc::train {

// A frozen model whose logits are added with `coefficient`. With a store its states are computed once; without, each
// step.
struct FrozenModel {
  std::shared_ptr<const model::DecoderModel> model;
  std::shared_ptr<HiddenStore> states;  // of the same model; may be shared between trainings; null: run each step
  double coefficient = 1.0;
};

// What a model adds to the fused logits of the part, from its states [N, hidden]. A model that is whole gives its rows
// there; one that ranks hold together is split as the part is.
LogitTerm logit_term(const model::DecoderModel& model, const torch::Tensor& states, double coefficient,
                     const VocabularyPart& part);
// What a frozen model adds at the predicting positions of examples.
LogitTerm frozen_term(const FrozenModel& frozen, std::span<const Example* const> examples, const VocabularyPart& part);
std::vector<LogitTerm> frozen_terms(const std::vector<FrozenModel>& frozen, std::span<const Example* const> examples,
                                    const VocabularyPart& part);

}  // namespace cmc::train
