#pragma once
#include <memory>
#include <vector>

#include "pipeline/fusion/base_and_deltas.hpp"
#include "pipeline/fusion/logit_source.hpp"

namespace cmc::fusion {

Delta delta_model(std::shared_ptr<const model::DecoderModel> model);
Delta proxy_tuning(std::shared_ptr<const model::DecoderModel> expert,
                   std::shared_ptr<const model::DecoderModel> anti_expert);
// The base itself, which reads another prompt: contrast by prompt, classifier-free guidance (Sanchez et al. 2023) of
// strength 1 + alpha.
Delta contrast_with(std::shared_ptr<const model::DecoderModel> base);

// A base with any number of deltas, same or other vocabulary (none: the single model). Rows with distinct deltas run in
// sub-batches of their own; a row may have several. Throws BadData where a delta's vocabulary and its map disagree.
std::unique_ptr<LogitSource> fused_source(Base base, std::vector<Delta> deltas, const FusionSettings& settings);

}  // namespace cmc::fusion
