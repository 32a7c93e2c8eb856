#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/records/method.hpp"

namespace cmc::stages {

struct KeySpec;

// A validated experiment: every key known, typed, within its choices; defaults filled in.
class Experiment {
 public:
  struct Override {
    std::string key, value;
  };

  // Reads an INI file; `overrides` (--set) win over it. ${NAME} is taken from the environment, ${world} stands for the
  // folder of the generated world; relative paths are relative to the working folder. Throws BadExperiment naming file,
  // key, and the nearest known key.
  static Experiment read(const std::filesystem::path& file, const std::vector<Override>& overrides);

  const std::string& name() const { return name_; }  // of the file, without .ini
  bool has(const std::string& key) const;            // set, or has a default
  bool knows(const std::string& key) const;          // the schema has it
  std::string text(const std::string& key) const;
  std::filesystem::path path(const std::string& key) const;
  int64_t integer(const std::string& key) const;
  double number(const std::string& key) const;
  std::vector<std::string> list(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;

  // Of a purpose, "instruct" or "unlearn": unlearning may have chat models of its own (paper, Table 2).
  std::string template_of(const std::string& purpose) const;
  std::vector<std::string> targets_of(const std::string& purpose) const;
  std::vector<records::Method> methods(const std::string& purpose) const;  // methods.<purpose>

  // The delta whose start (path, pre-training or sizes) this one takes: delta.<name>.start, or itself.
  std::string start_of(const std::string& delta) const;

  // Each is a repetition of the whole, with its own world and trainings.
  std::vector<int64_t> seeds() const;
  bool has_world() const { return integer("world.documents") > 0; }
  // The experiment for one of its seeds, with ${world} in that folder.
  Experiment for_seed(int64_t seed, const std::filesystem::path& world) const;

  // The whole as an INI file that read() takes: enough to run the experiment again.
  std::string resolved() const;

 private:
  void check() const;
  void check_choice(const KeySpec& spec, const std::string& key, const std::string& value) const;
  void check_judge(const std::set<std::string>& models) const;
  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& remedy) const;
  const std::string& value(const std::string& key) const;

  std::string file_, name_;
  std::map<std::string, std::string> values_;  // "section.key" → value as written, environment expanded
};

}  // namespace cmc::stages
