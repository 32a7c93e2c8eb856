#include "stages/verbs/system_choice.hpp"

#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "pipeline/records/task_labels.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;
using records::System;

// How a flag names what a system has.
struct Flag {
  const char* name;
  const char* about;
  std::string (*value)(const System&);  // "": it does not apply
};

std::string whole(int64_t value) {
  return value > 0 ? std::to_string(value) : "";
}

std::string gate_of(const System& system) {
  if (!system.adds_delta()) return "";
  return system.fusion.gate.empty() ? "none" : system.fusion.gate;
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = {
      {"target", "which target", [](const System& s) { return s.target; }},
      {"method", "which method; default cmc with a delta, else vanilla",
       [](const System& s) { return std::string(name_of(s.method)); }},
      {"delta", "which delta; none: vanilla", [](const System& s) { return s.delta; }},
      {"alpha", "which strength of the delta",
       [](const System& s) { return s.adds_delta() ? records::short_number(s.strength) : ""; }},
      {"mode", "which fusion mode", [](const System& s) { return s.fusion.mode; }},
      {"map", "which token map (another vocabulary)", [](const System& s) { return s.fusion.map; }},
      {"unmapped", "what unmapped tokens get (another vocabulary)", [](const System& s) { return s.fusion.unmapped; }},
      {"top", "one_to_many, top_union: for how many tokens", [](const System& s) { return whole(s.fusion.top); }},
      {"gate", "where the delta counts; default none, everywhere", gate_of},
      {"seed", "which seed of the experiment", [](const System& s) { return s.seed ? std::to_string(*s.seed) : ""; }}};
  return all;
}

// Numbers by their value, "1.0" as "1".
bool same(const std::string& given, const std::string& value) {
  if (given == value) return true;
  char *end = nullptr, *other = nullptr;
  const double a = std::strtod(given.c_str(), &end), b = std::strtod(value.c_str(), &other);
  return !given.empty() && !value.empty() && *end == '\0' && *other == '\0' && std::abs(a - b) < 1e-9;
}

// A flag that does not apply to a system does not exclude it, except the delta's own.
bool fits(const System& system, const std::map<std::string, std::string>& given) {
  for (const Flag& flag : flags()) {
    const auto asked = given.find(flag.name);
    const std::string value = flag.value(system);
    const bool names_system =
        flag.name == std::string("target") || flag.name == std::string("delta") || flag.name == std::string("method");
    if (asked != given.end() && (names_system || !value.empty()) && !same(asked->second, value)) return false;
  }
  return true;
}

// The flags by which some of them differ.
std::vector<const Flag*> differing(const std::vector<PlannedSystem>& systems) {
  std::vector<const Flag*> differ;
  for (const Flag& flag : flags()) {
    std::set<std::string> values;
    for (const auto& one : systems) values.insert(flag.value(one.system));
    if (values.size() > 1) differ.push_back(&flag);
  }
  return differ;
}

std::string choices(const std::vector<PlannedSystem>& systems) {
  const auto differ = differing(systems);
  std::string text;
  for (const auto& one : systems) {
    text += "\n ";
    for (const Flag* flag : differ)
      if (const std::string value = flag->value(one.system); !value.empty())
        text += " --" + std::string(flag->name) + " " + value;
  }
  return text + "\n";
}

// What the words mean where the method is left out.
std::map<std::string, std::string> asked_for(const Arguments& arguments) {
  std::map<std::string, std::string> given;
  for (const Flag& flag : flags())
    if (arguments.has(flag.name)) given[flag.name] = arguments.get(flag.name);
  if (!given.contains("target") && !arguments.has("all")) arguments.get("target");  // throws: it is missing
  if (!given.contains("gate") && !arguments.has("all")) given["gate"] = "none";
  if (!given.contains("method") && !arguments.has("all"))
    given["method"] = name_of(given.contains("delta") ? records::Method::cmc : records::Method::vanilla);
  return given;
}

}  // namespace

void add_system_options(po::options_description& options) {
  for (const Flag& flag : flags()) options.add_options()(flag.name, po::value<std::string>(), flag.about);
  options.add_options()("all", "every system that fits, one file each; --to is then a folder");
}

std::vector<PlannedSystem> chosen_systems(const Arguments& arguments,
                                          const std::vector<const distributed::Task*>& tasks,
                                          const records::Seeds& seeds) {
  const auto given = asked_for(arguments);
  std::map<System, PlannedSystem> planned;
  for (const distributed::Task* task : tasks)
    for (System system : records::labels_of(task->stage, task->parameters, task->name).systems()) {
      system.seed = seeds.of(task->key);
      auto& one = planned.try_emplace(system, PlannedSystem{system, {}}).first->second;
      one.tasks.push_back(task);
    }
  std::vector<PlannedSystem> all, fitting;
  for (auto& [system, one] : planned) {
    all.push_back(one);
    if (fits(system, given)) fitting.push_back(std::move(one));
  }
  if (fitting.empty())
    throw MissingInput({arguments.get("folder"), "evaluates no such system; it has:" + choices(all),
                        "give the flags of one of these"});
  if (fitting.size() > 1 && !arguments.has("all"))
    throw Usage({"export", "means " + std::to_string(fitting.size()) + " systems:" + choices(fitting),
                 "add one line's flags, or --all for a file each"});
  return fitting;
}

std::string file_stem(const System& system) {
  std::string stem;
  for (const Flag& flag : flags()) {
    const std::string value = flag.value(system), name = flag.name;
    if (value.empty() || (name == "gate" && value == "none")) continue;
    stem += (stem.empty() ? "" : "-") + (name == "alpha" || name == "seed" || name == "top" ? name : "") + value;
  }
  for (char& c : stem)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '_';
  return stem;
}

}  // namespace cmc::stages
