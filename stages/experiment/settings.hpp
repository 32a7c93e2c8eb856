#pragma once
#include <map>
#include <string>

#include "stages/experiment/sections.hpp"

namespace cmc::stages {

// What an experiment file sets, section by section; [model.NAME] and [delta.NAME] by their names.
struct Settings {
  sections::About about;  // [experiment]
  sections::World world;
  sections::Models models;
  std::map<std::string, sections::Model> model;
  sections::Deltas deltas;
  std::map<std::string, sections::Delta> delta;
  sections::Methods methods;
  sections::TokenMap token_map;
  sections::Fusion fusion;
  sections::Data data;
  sections::Compute compute;
  sections::Pretrain pretrain;
  sections::Prepare prepare;
  sections::TrainInstruct train_instruct;
  sections::TrainUnlearn train_unlearn;
  sections::AdaptInstruct adapt_instruct;
  sections::AdaptUnlearn adapt_unlearn;
  sections::Similarity similarity;
  sections::Instruct instruct;
  sections::Likelihood likelihood;
  sections::Ifeval ifeval;
  sections::Judge judge;
  sections::Unlearn unlearn;
  sections::ByteExact byte_exact;
  sections::Robustness robustness;
  sections::Relearn relearn;

  // visit(section's name, section or map of them), in the order they are printed.
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("experiment", self.about), visit("world", self.world), visit("models", self.models);
    visit("model", self.model), visit("deltas", self.deltas), visit("delta", self.delta);
    visit("methods", self.methods), visit("token_map", self.token_map), visit("fusion", self.fusion);
    visit("data", self.data), visit("compute", self.compute);
    visit("pretrain", self.pretrain), visit("prepare", self.prepare);
    visit("train_instruct", self.train_instruct), visit("train_unlearn", self.train_unlearn);
    visit("adapt_instruct", self.adapt_instruct), visit("adapt_unlearn", self.adapt_unlearn);
    visit("similarity", self.similarity), visit("instruct", self.instruct);
    visit("likelihood", self.likelihood), visit("ifeval", self.ifeval);
    visit("judge", self.judge), visit("unlearn", self.unlearn);
    visit("byte_exact", self.byte_exact), visit("robustness", self.robustness), visit("relearn", self.relearn);
  }
};

}  // namespace cmc::stages
