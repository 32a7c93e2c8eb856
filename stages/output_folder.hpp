#pragma once
#include <filesystem>

#include "pipeline/dist/plan.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// results/<experiment>/: experiment.ini (resolved), environment.json, plan.json (of the whole experiment), units/,
// checkpoints/, logs/ (RunLog).
class OutputFolder {
 public:
  explicit OutputFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path& path() const { return path_; }

  // Claims the folder for this experiment, whose whole plan it is given; throws BadExperiment when it holds another one's results.
  void claim(const Experiment& experiment, const dist::Plan& plan, const Json& environment) const;

  dist::Plan plan() const;  // throws MissingInput where no run has been
  Json environment() const;
  std::string experiment() const;

 private:
  std::filesystem::path path_;
};

Json to_json(const dist::Task& task);
dist::Task task_from(const Json& json, const std::string& where);

}  // namespace cmc::stages
