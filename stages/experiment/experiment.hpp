#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "stages/experiment/settings.hpp"

namespace cmc::stages {

// A validated experiment: every key known, typed, within its choices; defaults filled in.
class Experiment : public Settings {
 public:
  struct Override {
    std::string key, value;
  };

  // Reads an INI file (ini.hpp); `overrides` (--set) win over it. ${NAME} is taken from the environment, ${world}
  // stands for the folder of the generated world; relative paths are relative to the working folder. Throws
  // BadExperiment naming file, key, what it says and what is allowed.
  static Experiment read(const std::filesystem::path& file, const std::vector<Override>& overrides);

  const std::string& name() const { return name_; }  // of the file, without .ini

  // One of this experiment's paths. Throws BadExperiment naming its key where it is unset.
  const std::filesystem::path& given(const std::filesystem::path& path) const;

  // Of a purpose: unlearning may have chat models of its own (paper, Table 2).
  const std::string& template_of(records::Purpose purpose) const;
  const std::vector<std::string>& targets_of(records::Purpose purpose) const;
  const std::vector<std::string>& deltas_of(records::Purpose purpose) const;
  const std::vector<records::Method>& methods_of(records::Purpose purpose) const;

  // The delta whose start (path, pre-training or sizes) this one takes: delta.<name>.start, or itself.
  const std::string& start_of(const std::string& delta_name) const;

  bool has_world() const { return world.documents > 0; }
  int64_t seed() const { return about.seeds.front(); }  // of the experiment for one of its seeds
  // The experiment for one of its seeds, with ${world} in that folder.
  Experiment for_seed(int64_t seed, const std::filesystem::path& world_folder) const;

  // Throws BadExperiment naming the file and `key`.
  [[noreturn]] void fail(const std::string& key, const std::string& what, const std::string& remedy) const;

  // The whole as an INI file that read() takes: enough to run the experiment again.
  std::string resolved() const;

 private:
  void fill(const std::string& world_folder);  // the sections from values_
  void settle_prompts();
  void settle_prompt(const std::string& key, sections::Prompt& prompt);
  void check() const;
  void check_models() const;
  void check_made(const std::string& section, const sections::Sizes& sizes) const;
  void check_deltas() const;
  void check_judge() const;
  void check_robustness() const;
  void check_held_out(const std::string& section, const sections::HeldOut& held_out) const;

  std::string file_, name_;
  std::map<std::string, std::string> values_;  // "section.key" → value with the environment put in (variables.hpp)
};

}  // namespace cmc::stages
