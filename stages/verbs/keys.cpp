// Which keys an experiment file may hold.
#include <algorithm>
#include <iostream>
#include <set>
#include <utility>

#include "stages/experiment/schema.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// "model.*.path" → {"model.*", "path"}
std::pair<std::string_view, std::string_view> split_key(std::string_view key) {
  const size_t dot = key.rfind('.');
  return {key.substr(0, dot), key.substr(dot + 1)};
}

// "model", "model.*" and "model.gemma" all mean [model.*].
bool is_asked(std::string_view section, const std::string& asked) {
  const std::string_view family = section.substr(0, section.find('.'));
  return asked.empty() || asked == section || asked.substr(0, asked.find('.')) == family;
}

std::string kind_of(const KeySpec& spec) {
  std::string kind(spec.kind);
  for (const auto& choice : spec.choices) (kind += &choice == &spec.choices.front() ? ": " : ", ") += choice;
  if (const std::string range = text_of(spec.range); !range.empty()) kind += " " + range;
  return kind + (spec.required ? "; required" : "");
}

// "epochs = 3        epochs over the data (integer)"
void print_key(const KeySpec& spec, std::string_view name) {
  constexpr size_t width = 34;
  std::string line = "  " + std::string(name) + (spec.default_value.empty() ? "" : " = " + spec.default_value);
  line.resize(std::max(width, line.size() + 2), ' ');
  std::cout << line << spec.help << " (" << kind_of(spec) << ")\n";
}

// Its meaning above it; a key that may be left out stands with its default behind a #.
void print_commented(const KeySpec& spec, std::string_view name) {
  std::cout << "# " << spec.help << " (" << kind_of(spec) << ")\n"
            << (spec.required ? "" : "#") << name << " = " << spec.default_value << "\n";
}

constexpr char syntax[] =
    "# A # or ; begins a comment at the start of a line or after a blank. A value in \"…\" may hold them; \"\" is a "
    "quotation\n"
    "# mark in it. ${NAME} is taken from the environment, ${world} is the generated world's folder, $${ means ${ "
    "itself.\n\n";

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("section", po::value<std::string>(),
                        "of this section alone: train_instruct, model, …; by place, too")(
      "ini", "as a commented experiment file to fill in");
  Arguments arguments("keys [SECTION] [--ini]", options, {}, {"section"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string asked = arguments.has("section") ? arguments.get("section") : "";
  if (arguments.has("ini")) std::cout << syntax;
  std::string_view before;
  std::set<std::string_view> sections;
  for (const auto& spec : schema()) {
    const auto [section, name] = split_key(spec.key);
    sections.insert(section);
    if (!is_asked(section, asked)) continue;
    if (section != before) std::cout << (before.empty() ? "" : "\n") << "[" << section << "]\n";
    before = section;
    if (arguments.has("ini"))
      print_commented(spec, name);
    else
      print_key(spec, name);
  }
  if (!before.empty()) return ExitCode::done;
  std::string known;
  for (const auto& section : sections) (known += known.empty() ? "" : ", ") += section;
  throw Usage({"section " + asked, "is none of an experiment file", "known are " + known});
}

}  // namespace

const Verb keys_verb = {"keys", "what an experiment file may say: each key, its default, choices and meaning", run};

}  // namespace cmc::stages
