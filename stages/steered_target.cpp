#include "stages/steered_target.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/metrics/strength.hpp"

namespace cmc::stages {

namespace {

using records::Fusion, records::Method, records::System;

// The experiment's first mode, map and treatment of unmapped tokens, then each of the others with one change alone: an ablation
// is a star, not a grid. A target of the template's vocabulary has no map.
std::vector<Fusion> fusion_variants(Planner& planner, const std::string& target, const std::string& purpose) {
  const auto& experiment = planner.experiment();
  auto modes = experiment.list("fusion.mode"), maps = experiment.list("token_map.method"), unmapped = experiment.list("fusion.unmapped");
  if (planner.share_vocabulary(target, experiment.template_of(purpose))) maps = unmapped = {""};
  std::vector<Fusion> variants = {{modes.front(), maps.front(), unmapped.front()}};
  const auto vary = [&](std::string Fusion::*member, const std::vector<std::string>& values) {
    for (size_t i = 1; i < values.size(); ++i) variants.emplace_back(variants.front()).*member = values[i];
  };
  vary(&Fusion::mode, modes), vary(&Fusion::map, maps), vary(&Fusion::unmapped, unmapped);
  for (auto& variant : variants)
    if (variant.map == "one_to_many") variant.top = experiment.integer("fusion.top");
  return variants;
}

// CMC with each delta; the first also in all variants of fusion. Other methods with the first delta, fused as usual.
void add_steered(Planner& planner, const Evaluated& base, std::vector<Evaluated>& systems) {
  const std::string purpose(name_of(base.purpose));
  const auto variants = fusion_variants(planner, base.system.target, purpose);
  const auto deltas = planner.experiment().list("deltas." + purpose);
  const bool every = records::traits_of(base.system.method).every_delta;
  for (size_t d = 0; d < (every ? deltas.size() : std::min<size_t>(1, deltas.size())); ++d)
    for (size_t v = 0; v < (every && d == 0 ? variants.size() : 1); ++v) {
      Evaluated& evaluated = systems.emplace_back(base);
      evaluated.system.delta = deltas[d];
      evaluated.system.fusion = variants[v];
      evaluated.is_variant = v > 0;
    }
}

}  // namespace

std::vector<Evaluated> systems_on(Planner& planner, const std::string& target, records::Purpose purpose) {
  const auto& experiment = planner.experiment();
  const std::string shown(name_of(purpose));
  const auto base = purpose == records::Purpose::unlearn ? planner.prepared(target) : planner.model(target);
  std::vector<Evaluated> systems;
  for (const Method method : experiment.methods(shown)) {
    const auto& traits = records::traits_of(method);
    const Evaluated alone{System{target, method, "", 0, {}, {}}, purpose, base};
    if (traits.adds_delta) {
      add_steered(planner, alone, systems);
    } else if (traits.trains_target) {
      const std::string made = "adapt." + shown + "." + std::string(traits.name);
      systems.push_back({alone.system, purpose, planner.fine_tuned(made, target, base, method == Method::lora)});
    } else if (method != Method::retain_only) {
      systems.push_back(alone);
    } else if (!planner.find(std::string(traits.name), target).empty()) {
      const bool lora = experiment.text("prepare.method") == name_of(Method::lora);
      systems.push_back({alone.system, purpose, planner.fine_tuned(std::string(traits.name), target, planner.model(target), lora)});
    }
  }
  return systems;
}

namespace {

std::vector<records::DeltaPart> parts_of(Planner& planner, const Evaluated& e) {
  const auto& traits = records::traits_of(e.system.method);
  const std::string purpose(name_of(e.purpose)), role(name_of(traits.role));
  std::vector<records::DeltaPart> parts = {
      {records::ModelReference::made(e.system.delta, planner.find(purpose + "." + role, e.system.delta)), traits.weight}};
  if (traits.start_weight != 0)
    parts.push_back({planner.delta(e.system.delta, planner.experiment().template_of(purpose)), traits.start_weight});
  return parts;
}

}  // namespace

records::Evaluation evaluation_of(Planner& planner, const Evaluated& e, const std::vector<double>& strengths, distributed::Task& task) {
  const auto& experiment = planner.experiment();
  records::Evaluation p{e.system, {0}, e.model, {}, {}, {}};
  task.tensor_parallel = planner.tensor_parallel(e.system.target);
  planner.keeps(task, e.model, e.system.target);
  if (!e.system.is_vanilla()) p.system.seed = experiment.integer("experiment.seed");  // a training's; vanilla has none
  if (!e.system.adds_delta()) return p;
  p.strengths = e.is_variant ? metrics::nearest_to_1(strengths) : strengths;
  p.parts = parts_of(planner, e);
  const std::string template_name = experiment.template_of(std::string(name_of(e.purpose)));
  p.delta_tokenizer = planner.model(template_name);
  p.map = planner.find("map." + e.system.fusion.map, e.system.target + " to " + template_name);
  for (const auto& part : p.parts) Planner::needs(task, part.model);
  Planner::needs(task, *p.delta_tokenizer);
  if (!p.map.empty()) task.inputs.push_back(p.map);
  return p;
}

SteeredTarget::SteeredTarget(const records::Evaluation& p, Workbench& bench)
    : strengths_(p.strengths), tokenizer_(bench.tokenizer(p.model)) {
  fusion::Base base{bench.target(p.model), tokenizer_};
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
  if (p.system.adds_delta()) {
    fusion::Delta delta;
    for (const auto& part : p.parts) {
      delta.parts.push_back({bench.model(part.model), static_cast<float>(part.weight)});
      parameters_ += parameter_count(delta.parts.back().model->config());
    }
    deltas.push_back(std::move(delta));
    settings.mode = fusion::fusion_mode(p.system.fusion.mode);
    if (auto map = bench.token_map(p.map)) {
      settings.unmapped = fusion::unmapped(p.system.fusion.unmapped);
      settings.top = p.system.fusion.top;
      deltas.back().map = std::move(map);
      deltas.back().tokenizer = delta_tokenizer_ = bench.tokenizer(*p.delta_tokenizer);
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
