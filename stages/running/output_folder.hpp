#pragma once
#include <filesystem>

#include "pipeline/distributed/plan.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// results/<experiment>/: experiment.ini (resolved), environment.json, plan.json (of the whole experiment), units/,
// checkpoints/, logs/ (RunLog).
class OutputFolder {
 public:
  explicit OutputFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }

  // Claims the folder for this experiment, whose whole plan it is given; throws BadExperiment when it holds another
  // one's results, Refused when it holds files of these names that no run wrote.
  void claim(const Experiment& experiment, const distributed::Plan& plan, const Json& environment) const;

  distributed::Plan plan() const;  // throws MissingInput where no run has been
  Json environment() const;
  std::string experiment() const;

 private:
  void expect_ours(const Experiment& experiment) const;

  std::filesystem::path path_;
};

Json to_json(const distributed::Task& task);

// A plan as JSON, and back. Plans of 10,000 tasks are usual: neither holds all of it as JSON values beside the tasks
// for longer than it must. Throws BadData naming `where`.
std::string plan_text(const distributed::Plan& plan);
distributed::Plan plan_from(Json json, const std::string& where);

}  // namespace cmc::stages
