#include "stages/experiment/experiment.hpp"

#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/utf8.hpp"
#include "stages/experiment/filling.hpp"
#include "stages/experiment/ini.hpp"
#include "stages/experiment/schema.hpp"
#include "stages/experiment/variables.hpp"

namespace cmc::stages {

using records::Method, records::Purpose;

void Experiment::fail(const std::string& key, const std::string& what, const std::string& remedy) const {
  throw BadExperiment({file_ + ": " + key, what, remedy});
}

Experiment Experiment::read(const std::filesystem::path& file, const std::vector<Override>& overrides) {
  Experiment experiment;
  experiment.file_ = file.string();
  experiment.name_ = file.stem().string();
  for (auto& [key, value] : parse_ini(read_file(file), experiment.file_)) experiment.values_[key] = value;
  for (const auto& [key, value] : overrides) experiment.values_[key] = value;
  for (auto& [key, value] : experiment.values_) {
    if (!find_spec(key)) experiment.fail(key, "is not a known key", "did you mean " + nearest_key(key) + "?");
    value = trimmed(with_environment(value, experiment.file_, key));
    if (value.find_first_of("\n\r") != std::string::npos || !is_valid_utf8(value))
      experiment.fail(key, "holds a line end, or is not UTF-8", "give one line of text");
  }
  experiment.fill("");
  experiment.check();
  return experiment;
}

void Experiment::fill(const std::string& world_folder) {
  static_cast<Settings&>(*this) = {};
  const auto failed = [&](const std::string& key, const std::string& what, const std::string& remedy) {
    fail(key, what, remedy);
  };
  std::map<std::string, std::string> meant;
  for (const auto& [key, value] : values_) meant[key] = with_world(value, world_folder);
  Settings::fields(static_cast<Settings&>(*this), Filler<decltype(failed)>{meant, failed});
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
  settle_prompt("fusion.contrast_prompt", fusion.contrast_prompt);
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
  Experiment one = *this;
  one.values_["experiment.seed"] = std::to_string(seed);
  one.fill(world_folder.string());
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
    out << key.substr(dot + 1) << " = " << ini_value(value) << "\n";
  }
  return out.str();
}

}  // namespace cmc::stages
