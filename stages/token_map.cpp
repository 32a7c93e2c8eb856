// PM-MinED for every target of another vocabulary, with its coverage (protocol, "PM-MinED").
#include "pipeline/token_map/token_map.hpp"

#include "stages/columns.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/workbench.hpp"

namespace cmc::stages {
namespace {

void add(Planner& planner, const std::string& target, const std::string& template_name, const std::string& method) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.stage = "token_map";
  task.name = "map " + target + " to " + template_name + (method == "pm_mined" ? "" : " (" + method + ")");
  task.parameters = {{"base", planner.model(target)},
                     {"delta", planner.model(template_name)},
                     {"delta_size", planner.tokenizer(template_name).size()},
                     {"method", method},
                     {"compat", experiment.text("token_map.compat")}};
  Planner::needs(task, task.parameters.at("base"));
  Planner::needs(task, task.parameters.at("delta"));
  task.seconds = 2;
  planner.remember("map." + method, target + " to " + template_name, planner.add(std::move(task)));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const std::string purpose : {"instruct", "unlearn"}) {
    const std::string name = experiment.template_of(purpose);
    for (const auto& target : experiment.targets_of(purpose))
      for (const auto& method : experiment.list("token_map.method"))
        if (!planner.share_vocabulary(target, name) && planner.find("map." + method, target + " to " + name).empty())
          add(planner, target, name, method);
  }
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto& p = task.parameters;
  const auto map = token_map::make_token_map(*bench.tokenizer(p.at("base")), *bench.tokenizer(p.at("delta")),
                                             token_map::method_named(p.at("method").get<std::string>()),
                                             token_map::compat_named(p.at("compat").get<std::string>()));
  const auto covered = token_map::coverage(map);
  std::vector<int32_t> ids, match;
  for (const auto id : map.ids) ids.push_back(id.value);
  for (const auto m : map.match) match.push_back(static_cast<int32_t>(m));
  std::vector<int32_t> candidates;
  for (const auto id : map.candidates) candidates.push_back(id.value);
  const std::string about = "PM-MinED: exact string, else the prefix-related token with the smallest edit distance";
  store::Unit unit;
  unit.datasets = {
      column("delta_token", "base_token", std::move(ids), {"token", "delta token for each base token", about + "; -1: none"}),
      column("match", "base_token", std::move(match), {"1", "kind of match", "0 unmapped, 1 inexact, 2 exact"}),
      column("exact", "map", std::vector<int64_t>{covered.exact}, {"1", "base tokens with an identical delta token"}),
      column("inexact", "map", std::vector<int64_t>{covered.inexact}, {"1", "base tokens with a prefix match"}),
      column("unmapped", "map", std::vector<int64_t>{covered.unmapped}, {"1", "base tokens without a delta token"})};
  if (!map.offsets.empty())
    unit.ragged = {{"candidates", "base_token", std::move(candidates), map.offsets, "token",
                    "delta tokens whose largest logit a base token gets"}};
  return unit;
}

}  // namespace

const Stage token_map_stage = {"token_map", plan, run};

}  // namespace cmc::stages
