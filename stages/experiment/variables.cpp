#include "stages/experiment/variables.hpp"

#include <cstdlib>
#include <map>

#include "pipeline/core/error.hpp"

namespace cmc::stages {
namespace {

constexpr std::string_view opened = "${", literal = "$${", world = "${world}";

// In a clone of the project, where its scripts put them.
const std::map<std::string, std::string> default_folders = {{"CMC_MODELS", "models"}, {"CMC_DATA", "data"}};

// `text` with every ${ written as literal.
std::string escaped(std::string_view text) {
  std::string result;
  for (size_t at; (at = text.find(opened)) != std::string_view::npos; text.remove_prefix(at + opened.size()))
    result.append(text.substr(0, at)).append(literal);
  return result.append(text);
}

// Goes over `value` once: each ${… is replaced by what `replaced` gives for what follows it, which moves past what it
// took.
template <class Replaced>
std::string replace_variables(std::string_view value, std::string_view for_literal, const Replaced& replaced) {
  std::string result;
  while (!value.empty()) {
    if (value.starts_with(literal)) {
      result += for_literal;
      value.remove_prefix(literal.size());
    } else if (value.starts_with(opened)) {
      result += replaced(value);
    } else {
      result += value.front();
      value.remove_prefix(1);
    }
  }
  return result;
}

}  // namespace

std::string with_environment(const std::string& value, const std::string& file, const std::string& key) {
  const auto fail = [&](const std::string& what, const std::string& remedy) -> void {
    throw BadExperiment({file + ": " + key, what, remedy});
  };
  return replace_variables(value, literal, [&](std::string_view& rest) -> std::string {
    const size_t end = rest.find('}');
    if (end == std::string_view::npos) fail("has ${ without }", "close the brace, or write $${ for the characters ${");
    const std::string variable(rest.substr(0, end + 1)), name = variable.substr(2, variable.size() - 3);
    rest.remove_prefix(end + 1);
    if (variable == world) return variable;
    const char* found = std::getenv(name.c_str());
    if (!found && !default_folders.contains(name))
      fail("needs the environment variable " + name, "export " + name + ", or --set " + key + "=…");
    return escaped(found ? found : shipped_folder(name));
  });
}

std::string shipped_folder(const std::string& variable) {
  const char* found = std::getenv(variable.c_str());
  return found ? found : default_folders.at(variable);
}

bool uses_world(const std::string& value) {
  bool uses = false;
  replace_variables(value, literal, [&](std::string_view& rest) {
    uses = true;
    rest.remove_prefix(world.size());
    return std::string();
  });
  return uses;
}

std::string with_world(const std::string& value, const std::string& folder) {
  return replace_variables(value, opened, [&](std::string_view& rest) {
    rest.remove_prefix(world.size());
    return folder.empty() ? std::string(world) : folder;
  });
}

}  // namespace cmc::stages
