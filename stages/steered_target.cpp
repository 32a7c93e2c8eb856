#include "stages/steered_target.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/strength.hpp"

namespace cmc::stages {

std::string describe(const Evaluated& e) {
  if (e.delta.empty()) return e.target + " " + e.method;
  std::string text = e.target + " + " + e.delta;
  const auto add = [&](const std::string& variant) { text += " (" + variant + ")"; };
  if (e.method != "cmc") add(e.method);
  if (e.mode != "base_normalized") add(e.mode);
  if (!e.map_method.empty() && e.map_method != "pm_mined") add(e.map_method + (e.top > 0 ? " of the top " + std::to_string(e.top) : ""));
  if (!e.unmapped.empty() && e.unmapped != "zero") add("unmapped: " + e.unmapped);
  return text;
}

namespace {

// The deltas that a method is evaluated with: what CMC is compared with has the first alone.
std::vector<std::string> deltas_with(const Experiment& experiment, const std::string& method, const std::string& purpose) {
  auto deltas = experiment.list("deltas." + purpose);
  if (method != "cmc" && !deltas.empty()) deltas.resize(1);
  return deltas;
}

struct Variant {
  std::string mode, map, unmapped;
};

// The experiment's first mode, map and treatment of unmapped tokens, then each of the others with one change alone: an ablation
// is a star, not a grid. A target of the template's vocabulary has no map.
std::vector<Variant> fusion_variants(Planner& planner, const std::string& target, const std::string& purpose) {
  const auto& experiment = planner.experiment();
  auto modes = experiment.list("fusion.mode"), maps = experiment.list("token_map.method"), unmapped = experiment.list("fusion.unmapped");
  if (planner.share_vocabulary(target, experiment.template_of(purpose))) maps = unmapped = {""};
  const Variant usual{modes.front(), maps.front(), unmapped.front()};
  std::vector<Variant> variants = {usual};
  for (size_t i = 1; i < modes.size(); ++i) variants.push_back({modes[i], usual.map, usual.unmapped});
  for (size_t i = 1; i < maps.size(); ++i) variants.push_back({usual.mode, maps[i], usual.unmapped});
  for (size_t i = 1; i < unmapped.size(); ++i) variants.push_back({usual.mode, usual.map, unmapped[i]});
  return variants;
}

// CMC with each delta; the first also in all variants of fusion. Other methods with the first delta, fused as usual.
void add_steered(Planner& planner, const Evaluated& base, std::vector<Evaluated>& systems) {
  const auto& experiment = planner.experiment();
  const auto variants = fusion_variants(planner, base.target, base.purpose);
  const auto deltas = deltas_with(experiment, base.method, base.purpose);
  for (const auto& delta : deltas)
    for (size_t i = 0; i < (base.method == "cmc" && delta == deltas.front() ? variants.size() : 1); ++i) {
      Evaluated& system = systems.emplace_back(base);
      system.delta = delta;
      system.mode = variants[i].mode, system.map_method = variants[i].map, system.unmapped = variants[i].unmapped;
      system.top = system.map_method == "one_to_many" ? experiment.integer("fusion.top") : 0;
      system.is_variant = i > 0;
    }
}

}  // namespace

std::vector<Evaluated> systems_on(Planner& planner, const std::string& target, const std::string& purpose) {
  const auto& experiment = planner.experiment();
  const Json base = purpose == "unlearn" ? planner.prepared(target) : planner.model(target);
  std::vector<Evaluated> systems;
  for (const auto& method : experiment.list("methods." + purpose)) {
    if (method == "vanilla") systems.push_back({target, method, base, "", purpose});
    if (method == "lora" || method == "full")
      systems.push_back({target, method, planner.fine_tuned("adapt." + purpose + "." + method, target, base, method == "lora"), "", purpose});
    if (method == "retain_only" && !planner.find("retain_only", target).empty())
      systems.push_back({target, method, planner.fine_tuned("retain_only", target, planner.model(target),
                                                            experiment.text("prepare.method") == "lora"), "", purpose});
    if (method == "cmc" || method == "proxy_tuning" || method == "delta_unlearning")
      add_steered(planner, {target, method, base, "", purpose}, systems);
  }
  return systems;
}

namespace {

Json parts_of(Planner& planner, const Evaluated& e) {
  const std::string role = e.method == "cmc" ? "delta" : e.method == "proxy_tuning" ? "expert" : "offset";
  Json parts = {{{"model", Planner::made_by(e.delta, planner.find(e.purpose + "." + role, e.delta))}, {"weight", 1.0}}};
  if (role != "delta") parts.push_back({{"model", planner.delta(e.delta, planner.experiment().template_of(e.purpose))}, {"weight", -1.0}});
  return parts;
}

}  // namespace

void add_evaluated(Planner& planner, const Evaluated& e, const std::vector<double>& strengths, distributed::Task& task) {
  const auto& experiment = planner.experiment();
  auto& p = task.parameters;
  p["target"] = e.target;
  p["model"] = e.model;
  p["method"] = e.method;
  p["strengths"] = e.delta.empty() ? std::vector<double>{0} : e.is_variant ? metrics::nearest_to_1(strengths) : strengths;
  task.tensor_parallel = planner.tensor_parallel(e.target);
  planner.keeps(task, e.model, e.target);
  if (e.method != "vanilla") p["seed"] = experiment.integer("experiment.seed");   // a training's; vanilla has none
  if (e.delta.empty()) return;
  p["delta"] = e.delta;
  p["parts"] = parts_of(planner, e);
  const std::string template_name = experiment.template_of(e.purpose);
  p["delta_tokenizer"] = planner.model(template_name);
  p["map"] = planner.find("map." + e.map_method, e.target + " to " + template_name);
  p["map_method"] = e.map_method;
  p["mode"] = e.mode;
  if (!e.map_method.empty()) p["unmapped"] = e.unmapped, p["top"] = e.top;
  for (const auto& part : p.at("parts")) Planner::needs(task, part.at("model"));
  Planner::needs(task, p.at("delta_tokenizer"));
  if (p.at("map") != "") task.inputs.push_back(p.at("map"));
}

SteeredTarget::SteeredTarget(const Json& p, Workbench& bench)
    : strengths_(p.at("strengths").get<std::vector<double>>()), tokenizer_(bench.tokenizer(p.at("model"))) {
  fusion::Base base{bench.target(p.at("model")), tokenizer_};
  parameters_ = parameter_count(base.model->config());
  end_tokens_ = base.model->config().end_tokens;
  if (tokenizer_->special().end >= 0) end_tokens_.push_back(tokenizer_->special().end);
  std::vector<fusion::Delta> deltas;
  fusion::FusionSettings settings;
  settings.slots = bench.batch();
  if (const int halvings = bench.halvings(); halvings > 0) {  // memory has run out before
    settings.forced_tokens = std::max<int64_t>(1, 1024 >> halvings);
    settings.forced_logits = std::max<int64_t>(1, (1 << 24) >> halvings);
  }
  if (p.contains("delta")) {
    fusion::Delta delta;
    for (const auto& part : p.at("parts")) {
      delta.parts.push_back({bench.model(part.at("model")), part.at("weight").get<float>()});
      parameters_ += parameter_count(delta.parts.back().model->config());
    }
    deltas.push_back(std::move(delta));
    settings.mode = fusion::fusion_mode(p.at("mode").get<std::string>());
    if (auto map = bench.token_map(p.at("map").get<std::string>())) {
      settings.unmapped = fusion::unmapped(p.at("unmapped").get<std::string>());
      settings.top = p.at("top");
      deltas.back().map = std::move(map);
      deltas.back().tokenizer = delta_tokenizer_ = bench.tokenizer(p.at("delta_tokenizer"));
    }
  }
  source_ = fusion::fused_source(std::move(base), std::move(deltas), settings);
}

SteeredTarget::Prompt SteeredTarget::prompt(const text::PromptTemplate& base, const text::PromptTemplate& delta,
                                            const std::string& question) const {
  Prompt prompt{base.tokens(question, *tokenizer_), {}};
  if (delta_tokenizer_) prompt.delta = delta.tokens(question, *delta_tokenizer_);
  return prompt;
}

std::vector<std::vector<decode::Generated>> SteeredTarget::generate(
    const std::vector<Prompt>& prompts, int64_t new_tokens, const std::function<void(const decode::GenerationProgress&)>& report) {
  std::vector<decode::GenerationRequest> requests;
  for (const double strength : strengths_)
    for (const auto& prompt : prompts) {
      fusion::Row row;
      row.prompt = fusion::tokens_of<BaseToken>(prompt.base);
      row.delta_prompt = fusion::tokens_of<DeltaToken>(prompt.delta);
      row.steering = {0, static_cast<float>(strength)};
      requests.push_back({std::move(row)});
    }
  decode::GenerationSettings settings;
  settings.max_new_tokens = new_tokens;
  settings.end_tokens = end_tokens_;
  settings.stop_strings = {"\n\nComment:"};  // protocol, "Decoding"
  auto flat = decode::generate(*source_, tokenizer_, requests, settings, report);
  std::vector<std::vector<decode::Generated>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) {
    tokens_ += std::ssize(requests[i].row.prompt) + std::ssize(flat[i].tokens);
    by_strength[i / prompts.size()].push_back(std::move(flat[i]));
  }
  return by_strength;
}

std::vector<std::vector<decode::Score>> SteeredTarget::score(const std::vector<Answer>& answers,
                                                             const std::function<void(const decode::ScoreProgress&)>& report) {
  if (answers.empty()) return {};
  std::vector<decode::ScoreRequest> requests;
  for (const double strength : strengths_)
    for (const auto& answer : answers) {
      const std::span<const int32_t> ids(answer.tokens);
      requests.push_back({fusion::tokens_of<BaseToken>(ids.first(static_cast<size_t>(answer.first))),
                          fusion::tokens_of<BaseToken>(ids.subspan(static_cast<size_t>(answer.first))),
                          {0, static_cast<float>(strength)},
                          {fusion::tokens_of<DeltaToken>(answer.delta_prompt), fusion::tokens_of<BaseToken>(answer.delta_tokens)}});
    }
  auto flat = decode::score(*source_, requests, report);
  std::vector<std::vector<decode::Score>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) {
    tokens_ += std::ssize(answers[i % answers.size()].tokens);
    by_strength[i / answers.size()].push_back(std::move(flat[i]));
  }
  return by_strength;
}

void SteeredTarget::add_cost(store::Unit& unit) const {
  unit.cost["tokens"] = tokens_;
  unit.cost["flops"] = 2 * parameters_ * static_cast<double>(tokens_);
}

}  // namespace cmc::stages
