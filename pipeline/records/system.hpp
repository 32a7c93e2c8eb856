#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/records/method.hpp"

namespace cmc::records {

// How a delta's logits meet the target's (paper, Table 4). Empty where it does not apply: nothing is added, or (map and
// what is about it) target and delta have one vocabulary.
struct Fusion {
  std::string mode;       // "base_normalized", …
  std::string map;        // "pm_mined", …
  std::string unmapped;   // what base tokens without a delta token get: "zero", …
  int64_t top = 0;        // one_to_many, top_union: for so many tokens; 0: all
  std::string gate = {};  // where the delta counts, "plausible", …; "": everywhere (fusion::GateRule)
  double gate_threshold = 0;
  std::strong_ordering operator<=>(const Fusion& other) const;
  bool operator==(const Fusion& other) const { return (*this <=> other) == 0; }
};

// What is evaluated: a target by a method, with the delta that is added, how strongly and how, in which repetition.
struct System {
  std::string target;
  Method method = Method::vanilla;
  std::string delta;    // "": nothing is added; of a contrast: how the target is asked there
  double strength = 0;  // alpha; 0 without a delta
  Fusion fusion;
  std::optional<int64_t> seed;  // of the experiment; none: it stands for all of them

  // By target, method, delta, fusion (the usual first), strength, seed.
  std::strong_ordering operator<=>(const System& other) const;
  bool operator==(const System& other) const { return (*this <=> other) == 0; }

  bool is_vanilla() const { return method == Method::vanilla; }
  bool adds_delta() const { return !delta.empty(); }
  // The same target alone; other strengths and seeds of one system are equal in these.
  System vanilla() const { return {target, Method::vanilla, "", 0, {}, seed}; }
  System without_strength() const { return {target, method, delta, 0, fusion, seed}; }
  System without_seed() const { return {target, method, delta, strength, fusion, std::nullopt}; }

  // The one list: columns of /systems and /tasks, attributes of a unit, parameters of a task. A task has several
  // strengths, so its parameters leave `alpha` out.
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    described(self, visit);
    visit("alpha", self.strength, Presence::optional);
    visit("seed", self.seed);
  }
  template <class Self, class Visit>
  static void described(Self& self, Visit&& visit) {
    visit("target", self.target);
    visit("method", self.method);
    visit("delta", self.delta, Presence::optional);
    visit("mode", self.fusion.mode, Presence::optional);
    visit("map_method", self.fusion.map, Presence::optional);
    visit("unmapped", self.fusion.unmapped, Presence::optional);
    visit("top", self.fusion.top, Presence::optional);
    visit("gate", self.fusion.gate, Presence::optional);
    visit("gate_threshold", self.fusion.gate_threshold, Presence::optional);
  }
};

// A map's name that says how it is used as well: PM-MinED, and only tokens among the `top` most probable of the base or
// of the delta are shifted (fusion::TopOf::either).
inline constexpr std::string_view top_union = "top_union";
std::string map_method(const std::string& map);  // of the token map that it needs (token_map::Method)

// What people read.
std::string short_number(double value);  // "0.5", "1"
// Where the fusion is not the usual (the paper's): "raw_sum", "exact_only", "raw_sum, one_to_many of the top 100".
std::string describe(const Fusion& fusion);
std::string describe_addition(const System& system);  // "tiny (raw_sum)", or the method where nothing is added
std::string describe_curve(const System& system);     // "gemma + tiny (raw_sum)", "gemma vanilla"
std::string describe(const System& system);           // the same with its strength: "gemma + tiny, α 0.5"

}  // namespace cmc::records
