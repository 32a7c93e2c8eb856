// PM-MinED for every target of another vocabulary, with its coverage (protocol, "PM-MinED").
#include "pipeline/token_map/token_map.hpp"

#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

void add(Planner& planner, const std::string& target, const std::string& template_name, const std::string& method) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "map " + target + " to " + template_name + (method == "pm_mined" ? "" : " (" + method + ")");
  const records::TokenMapParameters p{planner.model(target),
                                      planner.model(template_name),
                                      planner.vocabulary_size(template_name),
                                      method,
                                      experiment.token_map.compat,
                                      {}};
  Planner::needs(task, p.base);
  Planner::needs(task, p.delta);
  task.seconds = 2;
  planner.remember("map." + method, target + " to " + template_name, planner.add(std::move(task), p));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const auto purpose : {records::Purpose::instruct, records::Purpose::unlearn}) {
    const std::string& name = experiment.template_of(purpose);
    for (const auto& target : experiment.targets_of(purpose))
      for (const auto& method : experiment.token_map.methods)
        if (!planner.share_vocabulary(target, name) && planner.find("map." + method, target + " to " + name).empty())
          add(planner, target, name, method);
  }
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<records::TokenMapParameters>(task.parameters, task.name);
  const auto map = token_map::make_token_map(*bench.tokenizer(p.base), *bench.tokenizer(p.delta),
                                             token_map::method_named(p.method), token_map::compat_named(p.compat));
  std::vector<records::TokenMapRow> rows;
  for (size_t i = 0; i < map.ids.size(); ++i) {
    auto& row = rows.emplace_back(records::TokenMapRow{map.ids[i].value, static_cast<int32_t>(map.match[i]), {}});
    if (map.offsets.empty()) continue;
    row.candidates.emplace();
    for (int64_t c = map.offsets[i]; c < map.offsets[i + 1]; ++c)
      row.candidates->push_back(map.candidates[static_cast<size_t>(c)].value);
  }
  const auto covered = token_map::coverage(map);
  store::Unit unit;
  records::write_rows(unit, rows);
  records::write_rows(unit, std::vector{records::CoverageRow{covered.exact, covered.inexact, covered.unmapped}});
  return unit;
}

}  // namespace

const Stage token_map_stage = {"token_map", 2, Stage::Runs::no_model, plan, run};

}  // namespace cmc::stages
