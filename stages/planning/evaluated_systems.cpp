#include "stages/planning/evaluated_systems.hpp"

#include <algorithm>

#include "pipeline/metrics/strength.hpp"

namespace cmc::stages {
namespace {

using records::Fusion, records::Method, records::System;

void set_gate(Fusion& fusion, const std::string& gate, const sections::Fusion& settings) {
  fusion.gate = gate == "none" ? "" : gate;
  fusion.gate_threshold = gate == "plausible" ? settings.plausible_from : gate == "unsure" ? settings.unsure_below : 0;
}

// Whether nothing that the method adds needs a map.
bool is_one_vocabulary(Planner& planner, const std::string& target, records::Purpose purpose, Method method) {
  const auto shares = [&](records::Purpose of) {
    return planner.share_vocabulary(target, planner.experiment().template_of(of));
  };
  return shares(purpose) && (!records::traits_of(method).adds_other || shares(records::other_than(purpose)));
}

// The experiment's first mode, map and treatment of unmapped tokens, then each of the others with one change alone: an
// ablation is a star, not a grid. Deltas of the target's vocabulary have no map.
std::vector<Fusion> fusion_variants(Planner& planner, const Evaluated& base) {
  const auto& experiment = planner.experiment();
  auto modes = experiment.fusion.modes, maps = experiment.token_map.methods, unmapped = experiment.fusion.unmapped;
  if (is_one_vocabulary(planner, base.system.target, base.purpose, base.system.method)) maps = unmapped = {""};
  Fusion usual;
  usual.mode = modes.front(), usual.map = maps.front(), usual.unmapped = unmapped.front();
  std::vector<Fusion> variants = {usual};
  const auto vary = [&](std::string Fusion::*member, const std::vector<std::string>& values) {
    for (size_t i = 1; i < values.size(); ++i) variants.emplace_back(variants.front()).*member = values[i];
  };
  vary(&Fusion::mode, modes), vary(&Fusion::map, maps), vary(&Fusion::unmapped, unmapped);
  vary(&Fusion::gate, experiment.fusion.gates);
  for (auto& variant : variants) {
    if (variant.map == "one_to_many") variant.top = experiment.fusion.top;
    if (variant.map == records::top_union) variant.top = experiment.fusion.union_top;
    set_gate(variant, variant.gate.empty() ? experiment.fusion.gates.front() : variant.gate, experiment.fusion);
  }
  return variants;
}

// CMC with each delta; the first also in all variants of fusion. Other methods with the first delta, fused as usual.
void add_steered(Planner& planner, const Evaluated& base, std::vector<Evaluated>& systems) {
  const auto variants = fusion_variants(planner, base);
  const auto& deltas = planner.experiment().deltas_of(base.purpose);
  const bool every = records::traits_of(base.system.method).every_delta;
  for (size_t d = 0; d < (every ? deltas.size() : std::min<size_t>(1, deltas.size())); ++d)
    for (size_t v = 0; v < (every && d == 0 ? variants.size() : 1); ++v) {
      Evaluated& evaluated = systems.emplace_back(base);
      evaluated.system.delta = deltas[d];
      evaluated.system.fusion = variants[v];
      evaluated.is_variant = v > 0;
    }
}

// The target's own distribution is what is added: it needs no map.
Evaluated contrast_of(const Experiment& experiment, Evaluated system) {
  system.system.delta = experiment.fusion.contrast_prompt.style;
  system.system.fusion.mode = experiment.fusion.modes.front();
  set_gate(system.system.fusion, experiment.fusion.gates.front(), experiment.fusion);
  return system;
}

}  // namespace

std::vector<Evaluated> systems_on(Planner& planner, const std::string& target, records::Purpose purpose) {
  const auto& experiment = planner.experiment();
  const std::string shown(name_of(purpose));
  const auto base = purpose == records::Purpose::unlearn ? planner.prepared(target) : planner.model(target);
  std::vector<Evaluated> systems;
  for (const Method method : experiment.methods_of(purpose)) {
    const auto& traits = records::traits_of(method);
    const Evaluated alone{System{target, method, "", 0, {}, {}}, purpose, base};
    if (traits.adds_delta) {
      add_steered(planner, alone, systems);
    } else if (traits.contrasts) {
      systems.push_back(contrast_of(experiment, alone));
    } else if (traits.trains_target) {
      const std::string made = "adapt." + shown + "." + std::string(traits.name);
      systems.push_back({alone.system, purpose, planner.fine_tuned(made, target, base, method == Method::lora)});
    } else if (method != Method::retain_only) {
      systems.push_back(alone);
    } else if (!planner.find(std::string(traits.name), target).empty()) {
      const bool lora = experiment.prepare.method == Method::lora;
      systems.push_back(
          {alone.system, purpose, planner.fine_tuned(std::string(traits.name), target, planner.model(target), lora)});
    }
  }
  return systems;
}

namespace {

records::ModelReference trained_delta(Planner& planner, records::Purpose purpose, records::Role role,
                                      const std::string& delta) {
  return records::ModelReference::made(
      delta, planner.find(std::string(name_of(purpose)) + "." + std::string(name_of(role)), delta));
}

// What the method adds of a purpose's deltas, without its parts.
records::AddedDelta delta_beside(Planner& planner, const System& system, records::Purpose purpose) {
  const std::string& template_name = planner.experiment().template_of(purpose);
  return {{},
          planner.model(template_name),
          planner.find("map." + records::map_method(system.fusion.map), system.target + " to " + template_name)};
}

// The other purpose's first delta: summed with the first before the map where both are of one vocabulary, else beside
// it.
void add_other(Planner& planner, const Evaluated& e, records::Evaluation& p) {
  const auto& experiment = planner.experiment();
  const auto& traits = records::traits_of(e.system.method);
  const auto purpose = records::other_than(e.purpose);
  const records::DeltaPart part{trained_delta(planner, purpose, traits.role, experiment.deltas_of(purpose).front()),
                                traits.weight};
  if (planner.share_vocabulary(experiment.template_of(e.purpose), experiment.template_of(purpose)))
    return p.parts.push_back(part);
  p.other = delta_beside(planner, e.system, purpose);
  p.other->parts = {part};
}

void add_needs(const records::AddedDelta& delta, distributed::Task& task) {
  for (const auto& part : delta.parts) Planner::needs(task, part.model);
  Planner::needs(task, *delta.delta_tokenizer);
  if (!delta.map.empty()) task.inputs.push_back(delta.map);
}

}  // namespace

records::Prompt instruct_prompt(Planner& planner, const records::System& system,
                                const std::vector<std::string>& questions) {
  if (records::traits_of(system.method).trains_target) return prompt_of_style(text::PromptStyle::open_instruct);
  const auto& target = planner.experiment().model.at(system.target);
  const bool shares =
      planner.share_vocabulary(system.target, planner.experiment().template_of(records::Purpose::instruct));
  return planner.prompt(shares ? target.prompt : target.other_prompt, system.target, questions);
}

records::Prompt delta_prompt(Planner& planner, const records::System& system,
                             const std::vector<std::string>& questions) {
  if (!records::traits_of(system.method).contrasts) return prompt_of_style(text::PromptStyle::open_instruct);
  const auto own = instruct_prompt(planner, system, questions),
             other = planner.prompt(planner.experiment().fusion.contrast_prompt, system.target, questions);
  if (own.before == other.before && own.after == other.after)
    planner.experiment().fail("fusion.contrast_prompt",
                              "is " + other.style + ", which is how " + system.target + " is asked anyway",
                              "name another, set model." + system.target + ".prompt, or leave the method contrast out");
  return other;
}

records::Evaluation evaluation_of(Planner& planner, const Evaluated& e, const std::vector<double>& strengths,
                                  distributed::Task& task) {
  const auto& experiment = planner.experiment();
  records::Evaluation p{{}, e.system, {0}, e.model, {}};
  planner.hold_together(task, e.system.target);
  planner.keeps(task, e.model, e.system.target);
  const auto& traits = records::traits_of(e.system.method);
  if (!e.system.is_vanilla() && !traits.contrasts) p.system.seed = experiment.seed();  // a training's
  if (!e.system.adds_delta()) return p;
  p.strengths = e.is_variant ? metrics::nearest_to_1(strengths) : strengths;
  if (traits.contrasts) return p;
  static_cast<records::AddedDelta&>(p) = delta_beside(planner, e.system, e.purpose);
  p.parts = {{trained_delta(planner, e.purpose, traits.role, e.system.delta), traits.weight}};
  if (traits.adds_other) add_other(planner, e, p);
  if (traits.start_weight != 0)
    p.parts.push_back({planner.delta(e.system.delta, experiment.template_of(e.purpose)), traits.start_weight});
  add_needs(p, task);
  if (p.other) add_needs(*p.other, task);
  return p;
}

}  // namespace cmc::stages
