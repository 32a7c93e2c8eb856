#include "pipeline/train/objective.hpp"

#include <array>
#include <string>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using Examples = ObjectiveParts::Examples;
using Retain = ObjectiveParts::Retain;

struct Known {
  Objective objective;
  std::string_view name;
  ObjectiveParts parts;
  ForgetSettings published = {};
};

constexpr std::array known = {
    Known{Objective::cross_entropy, "cross_entropy", {Examples::descent, false, Retain::none}},
    Known{Objective::grad_ascent, "grad_ascent", {Examples::ascent, false, Retain::none}},
    Known{Objective::grad_diff, "grad_diff", {Examples::ascent, false, Retain::cross_entropy}},
    Known{Objective::grad_diff_bounded, "grad_diff_bounded", {Examples::bounded_ascent, false, Retain::cross_entropy}},
    Known{Objective::kl, "kl", {Examples::ascent, false, Retain::divergence}},
    Known{Objective::idk, "idk", {Examples::none, true, Retain::cross_entropy}},
    Known{Objective::dpo, "dpo", {Examples::rejected, true, Retain::none}},
    Known{Objective::npo, "npo", {Examples::negative, false, Retain::none}},
    Known{Objective::npo_grad_diff, "npo_grad_diff", {Examples::negative, false, Retain::cross_entropy}},
    Known{Objective::simnpo,
          "simnpo",
          {Examples::simple_negative, false, Retain::cross_entropy},
          {.weight = 0.125, .beta = 4.5}},
    Known{Objective::wga, "wga", {Examples::weighted_ascent, false, Retain::cross_entropy}, {.beta = 1, .beta2 = 0}},
    Known{Objective::satimp,
          "satimp",
          {Examples::weighted_ascent, false, Retain::cross_entropy},
          {.weight = 0.1, .beta = 5, .beta2 = 1}},
    Known{Objective::ceu, "ceu", {Examples::without_label, false, Retain::none}},
    Known{Objective::undial, "undial", {Examples::dampened, false, Retain::none}, {.beta = 10}},
    Known{Objective::undial_grad_diff,
          "undial_grad_diff",
          {Examples::dampened, false, Retain::cross_entropy},
          {.beta = 10}},
    // The published weight, 5, is the retain term's.
    Known{
        Objective::remember_uniform, "remember_uniform", {Examples::descent, false, Retain::uniform}, {.weight = 0.2}}};

const Known& find(Objective objective) {
  for (const Known& each : known) {
    if (each.objective == objective) return each;
  }
  throw Internal({"objective", "is in no list", ""});
}

}  // namespace

bool ObjectiveParts::weighs_by_value() const {
  return examples == Examples::bounded_ascent || examples == Examples::simple_negative ||
         examples == Examples::weighted_ascent || prefers();
}

bool ObjectiveParts::prefers() const {
  return examples == Examples::rejected || examples == Examples::negative;
}

bool ObjectiveParts::has_soft_target() const {
  return examples == Examples::without_label || examples == Examples::dampened;
}

bool ObjectiveParts::compares() const {
  return prefers() || examples == Examples::dampened || retain == Retain::divergence;
}

ObjectiveParts parts_of(Objective objective) {
  return find(objective).parts;
}

ForgetSettings published_settings(Objective objective) {
  return find(objective).published;
}

std::string_view name_of(Objective objective) {
  return find(objective).name;
}

Objective objective(std::string_view name) {
  std::string names;
  for (const Known& each : known) {
    if (each.name == name) return each.objective;
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  throw BadExperiment({"objective", "is \"" + std::string(name) + "\"", "use one of " + names});
}

}  // namespace cmc::train
