#pragma once
#include <filesystem>

#include "pipeline/world/world.hpp"

namespace cmc::world {

// Writes the world as data sets in the forms of the published ones, so that the readers of this folder read them:
//   pretrain.jsonl      {"text"}: documents to pre-train on
//   alpaca.json         Alpaca: instruction examples
//   alpaca_eval.json    AlpacaEval: their test on held-out facts, `dataset` = the form asked for, with `checks`
//   ifeval.jsonl        IFEval: prompts on held-out facts with instructions that a program checks
//   counting.json       Alpaca: sums, the "different data" of the similarity experiment
//   chat.json           Alpaca: plain questions and answers, for the chat model of the unlearning experiment
//   tofu/               full, forget05, forget10, retain95, retain90: questions on the fictitious authors, the last of
//                       them forgotten; holdout05, holdout10: on people that are in no other text; and _perturbed:
//                       forget05, forget10, retain, real_authors, world_facts
//   tokenizer_a.txt, tokenizer_b.txt   texts to train two vocabularies on, one a line
// Files that are there are replaced, each all or nothing; for all of them at once call it inside publish_folder. The
// same settings give the same bytes everywhere. Throws BadExperiment for settings, CannotCreate or IoError.
void write_world(const WorldSettings& settings, const std::filesystem::path& folder);

}  // namespace cmc::world
