#include "stages/verbs/experiment_options.hpp"

#include <sstream>

namespace cmc::stages {

namespace po = boost::program_options;

void add_experiment_options(po::options_description& options) {
  options.add_options()("set", po::value<std::vector<std::string>>()->composing(),
                        "section.key=value, wins over the file; repeatable")(
      "limit", po::value<int64_t>(), "at most this many prompts and items a set")(
      "only", po::value<std::string>(), "these stages (with commas) and what they need")(
      "output", po::value<std::string>(), "folder of results (default results/<experiment>)");
}

std::filesystem::path output_folder(const Arguments& arguments, const Experiment& experiment) {
  if (arguments.has("output")) return arguments.get("output");
  return std::filesystem::path("results") / experiment.name();
}

Experiment read_experiment(const Arguments& arguments) {
  std::vector<Experiment::Override> overrides;
  const auto add = [&](const std::string& key, const std::string& value, const std::string& option) {
    for (const auto& known : overrides)
      if (known.key == key) throw Usage({option, "sets " + key + " a second time", "give it once"});
    overrides.push_back({key, value});
  };
  if (arguments.has("set"))
    for (const auto& setting : arguments.get<std::vector<std::string>>("set")) {
      const size_t equals = setting.find('=');
      if (equals == std::string::npos) throw Usage({"--set " + setting, "has no =", "write --set section.key=value"});
      add(setting.substr(0, equals), setting.substr(equals + 1), "--set " + setting);
    }
  if (arguments.has("limit")) {
    const std::string limit = std::to_string(arguments.number<int64_t>("limit", {.least = 1, .most = 1e9}));
    for (const char* key : {"instruct.items", "unlearn.items"}) add(key, limit, "--limit " + limit);
  }
  return Experiment::read(arguments.get("experiment"), overrides);
}

std::vector<std::string> only_stages(const Arguments& arguments) {
  std::vector<std::string> stages;
  if (!arguments.has("only")) return stages;
  std::istringstream parts(arguments.get("only"));
  for (std::string part; std::getline(parts, part, ',');) stages.push_back(part);
  return stages;
}

}  // namespace cmc::stages
