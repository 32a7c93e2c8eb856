// PM-MinED for every target of another vocabulary, with its coverage (protocol, "PM-MinED").
#include "pipeline/token_map/token_map.hpp"

#include <algorithm>

#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/planner.hpp"
#include "stages/planning/tofu_tasks.hpp"
#include "stages/workbench/tofu_evaluation.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

using records::Purpose;

void add(Planner& planner, const std::string& target, const std::string& template_name, const std::string& method) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "map " + target + " to " + template_name + (method == "pm_mined" ? "" : " (" + method + ")");
  records::TokenMapParameters p{planner.model(target),
                                planner.model(template_name),
                                planner.vocabulary_size(template_name),
                                method,
                                experiment.token_map.compat,
                                {},
                                {},
                                {}};
  if (std::ranges::count(experiment.targets_of(Purpose::instruct), target) && !experiment.deltas.instruct.empty())
    p.references = planner.file(experiment.given(experiment.data.alpaca_eval));
  if (std::ranges::count(experiment.targets_of(Purpose::unlearn), target) && !experiment.deltas.unlearn.empty())
    p.answers = planner.file(experiment.given(experiment.data.tofu) / (forget_file(experiment).stem + ".json"));
  Planner::needs(task, p.base);
  Planner::needs(task, p.delta);
  task.seconds = 2;
  planner.remember("map." + method, target + " to " + template_name, planner.add(std::move(task), p));
}

// Where methods add the other purpose's delta, of another vocabulary, a target needs a map to its template, too.
std::vector<std::string> templates_of(Planner& planner, Purpose purpose) {
  const auto& experiment = planner.experiment();
  const auto& own = experiment.template_of(purpose);
  const auto& other = experiment.template_of(records::other_than(purpose));
  const auto adds_other = [](records::Method method) { return records::traits_of(method).adds_other; };
  const bool adds =
      !experiment.deltas_of(purpose).empty() && std::ranges::any_of(experiment.methods_of(purpose), adds_other);
  return adds && !planner.share_vocabulary(own, other) ? std::vector{own, other} : std::vector{own};
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const auto purpose : {Purpose::instruct, Purpose::unlearn})
    for (const auto& name : templates_of(planner, purpose))
      for (const auto& target : experiment.targets_of(purpose))
        for (const auto& map : experiment.token_map.methods)
          if (const auto method = records::map_method(map);
              !planner.share_vocabulary(target, name) && planner.find("map." + method, target + " to " + name).empty())
            add(planner, target, name, method);
}

// The base's tokens of the texts that the map is used on.
std::vector<int32_t> used_tokens(const records::TokenMapParameters& p, const text::Tokenizer& tokenizer,
                                 const Workbench& bench) {
  std::vector<int32_t> tokens;
  const auto add = [&](const std::string& text) {
    const auto ids = tokenizer.encode(text, text::AddedTokens::none);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  };
  if (p.references) {
    const auto set = data::read_alpaca_eval(bench.file(*p.references));
    expect_planned(set.file, set.content_hash, *p.references);
    for (const auto& item : set.items) add(item.output);
  }
  if (p.answers)
    for (const auto& each : read_tofu_set(*p.answers, bench)) add(each.item.answer);
  return tokens;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<records::TokenMapParameters>(task.parameters, task.name);
  const auto& base = *bench.tokenizer(p.base);
  const auto map = token_map::make_token_map(base, *bench.tokenizer(p.delta), token_map::method_named(p.method),
                                             token_map::compat_named(p.compat));
  std::vector<records::TokenMapRow> rows;
  for (size_t i = 0; i < map.ids.size(); ++i) {
    auto& row = rows.emplace_back(records::TokenMapRow{map.ids[i].value, static_cast<int32_t>(map.match[i]), {}});
    if (map.offsets.empty()) continue;
    row.candidates.emplace();
    for (int64_t c = map.offsets[i]; c < map.offsets[i + 1]; ++c)
      row.candidates->push_back(map.candidates[static_cast<size_t>(c)].value);
  }
  const auto covered = token_map::coverage(map);
  records::CoverageRow row{covered.exact, covered.inexact, covered.unmapped, {}, {}, {}};
  if (const auto used = used_tokens(p, base, bench); !used.empty()) {
    const auto in_use = token_map::coverage_in_use(map, used);
    row.used_exact = in_use.exact, row.used_inexact = in_use.inexact, row.used_unmapped = in_use.unmapped;
  }
  store::Unit unit;
  records::write_rows(unit, rows);
  records::write_rows(unit, std::vector{row});
  return unit;
}

}  // namespace

const Stage token_map_stage = {"token_map", 2, Stage::Runs::no_model, plan, run};

}  // namespace cmc::stages
