#include "stages/experiment/experiment.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdlib>
#include <set>
#include <sstream>

#include "pipeline/core/date.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "stages/experiment/schema.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;
using records::Method, records::Purpose;

// The names users gave to a starred section, e.g. the models.
std::set<std::string> names_in(const std::map<std::string, std::string>& values, const std::string& section) {
  std::set<std::string> names;
  for (const auto& [key, value] : values)
    if (key.starts_with(section + "."))
      if (const auto end = key.find('.', section.size() + 1); end != std::string::npos)
        names.insert(key.substr(section.size() + 1, end - section.size() - 1));
  return names;
}

std::string list_of(const std::vector<std::string_view>& names) {
  std::string list;
  for (const auto name : names) (list += list.empty() ? "" : ", ") += name;
  return list;
}

// Puts what the file says into a section's members; what it does not say keeps its default.
template <class Fail>
struct Filler {
  const std::map<std::string, std::string>& values;
  const Fail& fail;

  template <class T>
  void one(const std::string& key, const std::string& text, T& member,
           const std::vector<std::string_view>& choices) const {
    if (!choices.empty() && !std::ranges::count(choices, text)) fail(key, "is " + text, "known: " + list_of(choices));
    if (!parse(text, member))
      fail(key, "is " + text + ", not a " + std::string(kind_of(member)), "give one (≥ 0 where it counts something)");
  }
  template <class T>
  void all(const std::string& key, const std::string& text, std::vector<T>& members,
           const std::vector<std::string_view>& choices) const {
    members.clear();
    for (const auto& item : split(text)) one(key, item, members.emplace_back(), choices);
    if (members.empty()) fail(key, "is " + text + ", a list of nothing", "give one value, or several with commas");
  }
  template <class T>
  void value(const std::string& key, T& member, const Help& help) const {
    const auto found = values.find(key);
    if (found == values.end() || found->second.empty()) {
      if (help.required) fail(key, "is missing", std::string(help.text));
      return;
    }
    const auto choices = help.choices.empty() ? Choices<T>::names() : help.choices;
    if constexpr (requires { member.emplace_back(); })
      all(key, found->second, member, choices);
    else
      one(key, found->second, member, choices);
  }
  template <Section S>
  void operator()(const std::string& name, S& section) const {
    S::fields(section, [&](const char* key, auto& member, const Help& help) { value(name + "." + key, member, help); });
  }
  template <Section S>
  void operator()(const std::string& name, std::map<std::string, S>& sections) const {
    for (const auto& given : names_in(values, name)) (*this)(name + "." + given, sections[given]);
  }
};

// Key of the member at `address`.
struct KeyFinder {
  const void* address;
  std::string& found;
  template <Section S>
  void operator()(const std::string& name, const S& section) const {
    S::fields(section, [&](const char* key, const auto& member, const Help&) {
      if (static_cast<const void*>(&member) == address) found = name + "." + key;
    });
  }
  template <Section S>
  void operator()(const std::string& name, const std::map<std::string, S>& sections) const {
    for (const auto& [given, section] : sections) (*this)(name + "." + given, section);
  }
};

}  // namespace

void Experiment::fail(const std::string& key, const std::string& what, const std::string& remedy) const {
  throw BadExperiment({file_ + ": " + key, what, remedy});
}

Experiment Experiment::read(const std::filesystem::path& file, const std::vector<Override>& overrides) {
  Experiment experiment;
  experiment.file_ = file.string();
  experiment.name_ = file.stem().string();
  const auto expanded = [&](const std::string& key, const std::string& value) {
    std::string text = value;
    for (size_t at = 0; (at = text.find("${", at)) != std::string::npos;) {
      const size_t end = text.find('}', at);
      if (end == std::string::npos) experiment.fail(key, "has ${ without }", "close the brace");
      const std::string name = text.substr(at + 2, end - at - 2);
      if (name == "world") {  // known once its seed is: for_seed()
        at = end;
        continue;
      }
      const char* found = std::getenv(name.c_str());
      if (!found)
        experiment.fail(key, "needs the environment variable " + name, "export " + name + ", or --set " + key + "=…");
      text.replace(at, end - at + 1, found);
    }
    return text;
  };
  std::istringstream content(read_file(file));
  try {
    for (const auto& option : po::parse_config_file(content, po::options_description(), true).options)
      experiment.values_[option.string_key] = option.value.empty() ? "" : option.value.front();
  } catch (const po::error& error) {
    throw BadExperiment({file.string(), error.what(), "write [section] lines and key = value lines"});
  }
  for (const auto& [key, value] : overrides) experiment.values_[key] = value;
  for (auto& [key, value] : experiment.values_) {
    if (!find_spec(key)) experiment.fail(key, "is not a known key", "did you mean " + nearest_key(key) + "?");
    value = trimmed(expanded(key, value));
  }
  experiment.fill();
  experiment.check();
  return experiment;
}

void Experiment::fill() {
  static_cast<Settings&>(*this) = {};
  const auto failed = [&](const std::string& key, const std::string& what, const std::string& remedy) {
    fail(key, what, remedy);
  };
  Settings::fields(static_cast<Settings&>(*this), Filler<decltype(failed)>{values_, failed});
  settle_prompts();
}

// A given text is a style of its own; `key`: of the style.
void Experiment::settle_prompt(const std::string& key, sections::Prompt& prompt) {
  const auto style = values_.find(key);
  const bool named = style != values_.end() && !style->second.empty();
  if (!prompt.is_given()) {
    if (prompt.style == "text") fail(key, "is text, but there is none", "set " + key + "_before, " + key + "_after");
    return;
  }
  if (named && style->second != "text")
    fail(key, "is " + prompt.style + ", and " + key + "_before or " + key + "_after gives a text",
         "leave one of them out");
  prompt.style = values_[key] = "text";
}

void Experiment::settle_prompts() {
  for (auto& [name, section] : model) {
    settle_prompt("model." + name + ".prompt", section.prompt);
    settle_prompt("model." + name + ".other_prompt", section.other_prompt);
  }
  settle_prompt("judge.prompt", judge.prompt);
  settle_prompt("unlearn.prompt", unlearn.prompt);
  if (!unlearn.before_answer.text.empty() && unlearn.prompt.style != "text")
    fail("unlearn.before_answer", "is set, but unlearn.prompt is " + unlearn.prompt.style,
         "give the text of the prompt, too (unlearn.prompt_before, unlearn.prompt_after)");
}

const std::filesystem::path& Experiment::given(const std::filesystem::path& path) const {
  if (!path.empty()) return path;
  std::string key;
  Settings::fields(static_cast<const Settings&>(*this), KeyFinder{&path, key});
  const KeySpec* spec = find_spec(key);
  expect(spec != nullptr, "a path that is asked for is one of the experiment's");
  fail(key, "is missing", "set it: " + std::string(spec->help));
}

void Experiment::check() const {
  if (fusion.top > 0 && std::ranges::count(token_map.methods, "one_to_many") == 0)
    fail("fusion.top", "is " + std::to_string(fusion.top) + ", but no map is one_to_many",
         "add one_to_many to token_map.method, or leave it out");
  if (!is_date(about.date))
    fail("experiment.date", "is " + about.date + ", not a day", "write year-month-day, e.g. 2024-07-26");
  for (const int64_t seed : about.seeds)
    if (std::ranges::count(about.seeds, seed) > 1)
      fail("experiment.seed", "holds " + std::to_string(seed) + " twice", "give one seed, or several with commas");
  std::vector<std::string> used;
  for (const auto purpose : {Purpose::instruct, Purpose::unlearn}) {
    used.insert(used.end(), targets_of(purpose).begin(), targets_of(purpose).end());
    used.push_back(template_of(purpose));
  }
  for (const auto& one : used)
    if (!model.contains(one))
      fail("models", one + " has no section",
           "add [model." + one + "] with its path, or with its sizes to pre-train it");
  check_deltas();
  check_judge();
}

void Experiment::check_deltas() const {
  for (const auto purpose : {Purpose::instruct, Purpose::unlearn})
    for (const auto& one : deltas_of(purpose))
      if (!delta.contains(one))
        fail("deltas." + std::string(name_of(purpose)), one + " has no section", "add [delta." + one + "]");
  for (const auto& [one, section] : delta) {
    const std::string start = start_of(one), key = "delta." + one + ".start";
    if (!delta.contains(start)) fail(key, start + " has no section", "add [delta." + start + "]");
    if (start_of(start) != start)
      fail(key, "names " + start + ", which starts from another delta itself", "name that one");
  }
}

void Experiment::check_judge() const {
  if (judge.model.empty()) return;
  if (!model.contains(judge.model))
    fail("judge.model", judge.model + " has no section",
         "add [model." + judge.model + "] with its path, or with its sizes to pre-train it");
  if (deltas.instruct.empty())
    fail("judge.model", "is set, but there are no responses to judge", "set deltas.instruct, or leave judge.model out");
  if (judge.against == records::Against::vanilla && !std::ranges::count(methods.instruct, Method::vanilla))
    fail("judge.against", "is vanilla, which methods.instruct does not hold",
         "add vanilla to methods.instruct, or set judge.against = reference");
  given(data.alpaca_eval);
}

const std::string& Experiment::template_of(Purpose purpose) const {
  return purpose == Purpose::unlearn && !models.unlearn_template.empty() ? models.unlearn_template
                                                                         : models.template_model;
}

const std::vector<std::string>& Experiment::targets_of(Purpose purpose) const {
  return purpose == Purpose::unlearn && !models.unlearn_targets.empty() ? models.unlearn_targets : models.targets;
}

const std::vector<std::string>& Experiment::deltas_of(Purpose purpose) const {
  return purpose == Purpose::unlearn ? deltas.unlearn : deltas.instruct;
}

const std::vector<Method>& Experiment::methods_of(Purpose purpose) const {
  return purpose == Purpose::unlearn ? methods.unlearn : methods.instruct;
}

const std::string& Experiment::start_of(const std::string& delta_name) const {
  const std::string& start = delta.at(delta_name).start;
  return start.empty() ? delta_name : start;
}

Experiment Experiment::for_seed(int64_t seed, const std::filesystem::path& world_folder) const {
  static const std::string variable = "${world}";
  Experiment one = *this;
  one.values_["experiment.seed"] = std::to_string(seed);
  for (auto& [key, value] : one.values_)
    for (size_t at; (at = value.find(variable)) != std::string::npos;) {
      if (world_folder.empty())
        fail(key, "uses ${world}, but the experiment makes none", "add [world] with its documents");
      value.replace(at, variable.size(), world_folder.string());
    }
  one.fill();
  return one;
}

std::string Experiment::resolved() const {
  std::map<std::string, std::string> all = values_;
  std::erase_if(all, [](const auto& value) { return value.second.empty(); });
  for (const auto& spec : schema())
    if (spec.key.find('*') == std::string_view::npos && !spec.default_value.empty())
      all.try_emplace(std::string(spec.key), spec.default_value);
  std::ostringstream out;
  std::string section;
  for (const auto& [key, value] : all) {
    const size_t dot = key.rfind('.');
    if (key.substr(0, dot) != section) out << "[" << (section = key.substr(0, dot)) << "]\n";
    out << key.substr(dot + 1) << " = " << value << "\n";
  }
  return out.str();
}

}  // namespace cmc::stages
