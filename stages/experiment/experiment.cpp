#include "stages/experiment/experiment.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "stages/experiment/schema.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');)
    if (auto item = trimmed(part); !item.empty()) items.push_back(item);
  return items;
}

// Whether the whole text is one value of T.
template <class T>
bool parse(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// The names users gave to a starred section, e.g. the models.
std::set<std::string> names_in(const std::map<std::string, std::string>& values, const std::string& section) {
  std::set<std::string> names;
  for (const auto& [key, value] : values)
    if (key.starts_with(section + "."))
      if (const auto end = key.find('.', section.size() + 1); end != std::string::npos)
        names.insert(key.substr(section.size() + 1, end - section.size() - 1));
  return names;
}

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
  experiment.check();
  return experiment;
}

bool Experiment::has(const std::string& key) const {
  if (const auto found = values_.find(key); found != values_.end()) return !found->second.empty();
  const KeySpec* spec = find_spec(key);
  return spec && !spec->default_value.empty();
}

bool Experiment::knows(const std::string& key) const {
  return find_spec(key) != nullptr;
}

const std::string& Experiment::value(const std::string& key) const {
  static const std::string empty;
  if (const auto found = values_.find(key); found != values_.end()) return found->second;
  const KeySpec* spec = find_spec(key);
  expect(spec != nullptr, "experiment keys are in the schema");
  if (spec->required) fail(key, "is missing", std::string("set it: ") + std::string(spec->help));
  return empty;
}

std::string Experiment::text(const std::string& key) const {
  const std::string& written = value(key);
  return written.empty() ? std::string(find_spec(key)->default_value) : written;
}

std::filesystem::path Experiment::path(const std::string& key) const {
  const std::string written = text(key);
  if (written.empty()) fail(key, "is missing", std::string("set it: ") + std::string(find_spec(key)->help));
  return written;
}

int64_t Experiment::integer(const std::string& key) const {
  int64_t number = 0;
  if (!parse(text(key), number) || number < 0) fail(key, "is not a whole number ≥ 0: " + text(key), "give one");
  return number;
}

double Experiment::number(const std::string& key) const {
  double number = 0;
  if (!parse(text(key), number)) fail(key, "is not a number: " + text(key), "give one");
  return number;
}

std::vector<std::string> Experiment::list(const std::string& key) const {
  return split(text(key));
}

std::vector<double> Experiment::numbers(const std::string& key) const {
  std::vector<double> numbers;
  for (const auto& item : split(text(key)))
    if (!parse(item, numbers.emplace_back()))
      fail(key, "holds " + item + ", which is not a number", "give numbers, with commas");
  return numbers;
}

void Experiment::check_choice(const KeySpec& spec, const std::string& key, const std::string& value) const {
  if (spec.choices.empty() || value.empty() || std::ranges::count(spec.choices, value)) return;
  std::string known;
  for (const auto choice : spec.choices) known += (known.empty() ? "" : ", ") + std::string(choice);
  fail(key, "is " + value, "known: " + known);
}

void Experiment::check() const {
  for (const auto& spec : schema()) {
    std::vector<std::string> keys{std::string(spec.key)};
    if (const auto star = spec.key.find('*'); star != std::string_view::npos) {
      keys.clear();
      for (const auto& name : names_in(values_, std::string(spec.key.substr(0, star - 1))))
        keys.push_back(std::string(spec.key.substr(0, star)) + name + std::string(spec.key.substr(star + 1)));
    }
    for (const auto& key : keys) {
      if (spec.type == ValueType::integer) integer(key);
      if (spec.type == ValueType::number) number(key);
      if (spec.type == ValueType::numbers) numbers(key);
      if (spec.required && text(key).empty()) fail(key, "is missing", std::string(spec.help));
      for (const auto& value : spec.type == ValueType::list ? list(key) : std::vector{text(key)})
        check_choice(spec, key, value);
    }
  }
  if (integer("fusion.top") > 0 && std::ranges::count(list("token_map.method"), "one_to_many") == 0)
    fail("fusion.top", "is " + text("fusion.top") + ", but no map is one_to_many",
         "add one_to_many to token_map.method, or leave it out");
  if (seeds().empty()) fail("experiment.seed", "is empty", "give one seed, or several with commas");
  const auto models = names_in(values_, "model"), deltas = names_in(values_, "delta");
  std::vector<std::string> used;
  for (const std::string purpose : {"instruct", "unlearn"}) {
    for (const auto& target : targets_of(purpose)) used.push_back(target);
    used.push_back(template_of(purpose));
  }
  for (const auto& model : used)
    if (!models.contains(model))
      fail("models", model + " has no section",
           "add [model." + model + "] with its path, or with its sizes to pre-train it");
  for (const auto& key : {"deltas.instruct", "deltas.unlearn"})
    for (const auto& delta : list(key))
      if (!deltas.contains(delta)) fail(key, delta + " has no section", "add [delta." + delta + "]");
  for (const auto& delta : deltas) {
    const std::string start = start_of(delta), key = "delta." + delta + ".start";
    if (!deltas.contains(start)) fail(key, start + " has no section", "add [delta." + start + "]");
    if (start_of(start) != start)
      fail(key, "names " + start + ", which starts from another delta itself", "name that one");
  }
  check_judge(models);
}

void Experiment::check_judge(const std::set<std::string>& models) const {
  if (!has("judge.model")) return;
  const std::string judge = text("judge.model");
  if (!models.contains(judge))
    fail("judge.model", judge + " has no section",
         "add [model." + judge + "] with its path, or with its sizes to pre-train it");
  if (list("deltas.instruct").empty())
    fail("judge.model", "is set, but there are no responses to judge", "set deltas.instruct, or leave judge.model out");
  if (text("judge.against") == name_of(records::Against::vanilla) &&
      !std::ranges::count(methods("instruct"), records::Method::vanilla))
    fail("judge.against", "is vanilla, which methods.instruct does not hold",
         "add vanilla to methods.instruct, or set judge.against = reference");
  path("data.alpaca_eval");
}

std::string Experiment::template_of(const std::string& purpose) const {
  const std::string own = "models." + purpose + "_template";
  return text(knows(own) && has(own) ? own : "models.template");
}

std::vector<std::string> Experiment::targets_of(const std::string& purpose) const {
  const std::string own = "models." + purpose + "_targets";
  return list(knows(own) && has(own) ? own : "models.targets");
}

std::vector<records::Method> Experiment::methods(const std::string& purpose) const {
  std::vector<records::Method> methods;
  for (const auto& name : list("methods." + purpose))
    methods.push_back(records::method_named(name, file_ + ": methods." + purpose));
  return methods;
}

std::string Experiment::start_of(const std::string& delta) const {
  const std::string start = text("delta." + delta + ".start");
  return start.empty() ? delta : start;
}

std::vector<int64_t> Experiment::seeds() const {
  std::vector<int64_t> seeds;
  for (const auto& item : split(text("experiment.seed"))) {
    if (!parse(item, seeds.emplace_back()) || seeds.back() < 0 || std::ranges::count(seeds, seeds.back()) > 1)
      fail("experiment.seed", "holds " + item + ", which is no whole number ≥ 0 or occurs twice",
           "give one seed, or several with commas");
  }
  return seeds;
}

Experiment Experiment::for_seed(int64_t seed, const std::filesystem::path& world) const {
  static const std::string placeholder = "${world}";
  Experiment one = *this;
  one.values_["experiment.seed"] = std::to_string(seed);
  for (auto& [key, value] : one.values_)
    for (size_t at; (at = value.find(placeholder)) != std::string::npos;) {
      if (world.empty()) fail(key, "uses ${world}, but the experiment makes none", "add [world] with its documents");
      value.replace(at, placeholder.size(), world.string());
    }
  return one;
}

std::string Experiment::resolved() const {
  std::map<std::string, std::string> all = values_;
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
