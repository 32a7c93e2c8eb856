#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/records/fields.hpp"

namespace cmc::records {

// What is done to a target, in the order of the paper's tables.
enum class Method {
  none,              // of no system: what is made for several methods, or says something of all systems
  vanilla,           // the target as it is (unlearning: after it was prepared on TOFU)
  retain_only,       // the target prepared without what is to be forgotten: forget quality compares with it
  lora,              // the target itself fine-tuned with adapters, nothing added
  full,              // the same, all of it
  proxy_tuning,      // + alpha · (expert − start)     (instructions)
  delta_unlearning,  // + alpha · (offset − start)     (unlearning)
  uld,               // − alpha · assistant, at plausible tokens (unlearning; Ji et al. 2024)
  cmc,               // + alpha · delta                (the paper's)
  composed,          // + alpha · (delta + the other purpose's delta)
  contrast,          // + alpha · (the target − the target asked in another way), in log-probabilities
};

// What a small model that is trained for a method learns beside.
//   delta   beside the frozen template: the paper's
//   expert  alone, as a language model: proxy tuning adds what it has learnt
//   offset  beside the template, with its start taken away: delta-unlearning's pair
//   assistant  alone, what shall be forgotten, and to know nothing of the rest: ULD takes it away
enum class Role { delta, expert, offset, assistant };

enum class Purpose { instruct, unlearn };

// A method is its row here: adding one is a row, and the training that it needs where there is none yet.
struct MethodTraits {
  Method method = Method::none;
  std::string_view name = "";
  bool instruct = false, unlearn = false;  // purposes it is for
  bool trains_target = false;              // a fine-tuning of each target (stage adapt); nothing is added
  bool adds_delta = false;                 // at a strength, with a role's training (stage train)
  bool every_delta = false;  // with each delta and in all variants of fusion; else with the first alone, fused as usual
  Role role = Role::delta;   // where it adds one
  double weight = 0;         // of what was trained, within alpha · (…)
  double start_weight = 0;   // of what the training started from; 0: it is not run
  bool adds_other = false;   // with the first delta of the other purpose, of weight 1
  bool contrasts = false;    // at a strength; nothing is trained: the target asked in another way is what is added
  double plausible = 0;      // only at tokens of so much of the most probable one's probability; 0: at all
};

inline constexpr std::array method_traits = {
    MethodTraits{.method = Method::vanilla, .name = "vanilla", .instruct = true, .unlearn = true},
    MethodTraits{.method = Method::retain_only, .name = "retain_only", .unlearn = true},
    MethodTraits{.method = Method::lora, .name = "lora", .instruct = true, .unlearn = true, .trains_target = true},
    MethodTraits{.method = Method::full, .name = "full", .instruct = true, .unlearn = true, .trains_target = true},
    MethodTraits{.method = Method::proxy_tuning,
                 .name = "proxy_tuning",
                 .instruct = true,
                 .adds_delta = true,
                 .role = Role::expert,
                 .weight = 1,
                 .start_weight = -1},
    MethodTraits{.method = Method::delta_unlearning,
                 .name = "delta_unlearning",
                 .unlearn = true,
                 .adds_delta = true,
                 .role = Role::offset,
                 .weight = 1,
                 .start_weight = -1},
    MethodTraits{.method = Method::uld,
                 .name = "uld",
                 .unlearn = true,
                 .adds_delta = true,
                 .role = Role::assistant,
                 .weight = -1,
                 .plausible = 0.01},
    MethodTraits{.method = Method::cmc,
                 .name = "cmc",
                 .instruct = true,
                 .unlearn = true,
                 .adds_delta = true,
                 .every_delta = true,
                 .role = Role::delta,
                 .weight = 1},
    MethodTraits{.method = Method::composed,
                 .name = "composed",
                 .instruct = true,
                 .unlearn = true,
                 .adds_delta = true,
                 .role = Role::delta,
                 .weight = 1,
                 .adds_other = true},
    MethodTraits{.method = Method::contrast, .name = "contrast", .instruct = true, .contrasts = true},
};

template <>
struct EnumNames<Method> {
  static constexpr NamedEnum names{"method", [] {
                                     std::array<Named<Method>, method_traits.size() + 1> all;
                                     for (size_t i = 0; i < method_traits.size(); ++i)
                                       all[i] = {method_traits[i].method, method_traits[i].name};
                                     all.back() = {Method::none, ""};
                                     return all;
                                   }()};
};
template <>
struct EnumNames<Role> {
  static constexpr NamedEnum names{"role", std::to_array<Named<Role>>({{Role::delta, "delta"},
                                                                       {Role::expert, "expert"},
                                                                       {Role::offset, "offset"},
                                                                       {Role::assistant, "assistant"}})};
};
template <>
struct EnumNames<Purpose> {
  static constexpr NamedEnum names{
      "purpose", std::to_array<Named<Purpose>>({{Purpose::instruct, "instruct"}, {Purpose::unlearn, "unlearn"}})};
};

inline Purpose other_than(Purpose purpose) {
  return purpose == Purpose::instruct ? Purpose::unlearn : Purpose::instruct;
}
const MethodTraits& traits_of(Method method);  // of none: nothing is trained or added
// Throws BadData naming `where` and the known methods.
Method method_named(std::string_view name, const std::string& where);
// The method that a small model trained in `role` serves.
Method method_of(Role role);
// Names of the methods for a purpose, in their order: what an experiment may ask for.
std::vector<std::string_view> methods_for(Purpose purpose);
std::vector<std::string_view> training_methods();  // those that train the target itself

}  // namespace cmc::records
