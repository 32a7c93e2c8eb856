#include "stages/running/output_folder.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/provenance.hpp"

namespace cmc::stages {

Json to_json(const distributed::Task& t) {
  return {{"key", t.key},
          {"stage", t.stage},
          {"name", t.name},
          {"parameters", t.parameters},
          {"inputs", t.inputs},
          {"residency", t.residency},
          {"seconds", t.seconds},
          {"bytes", t.bytes},
          {"load_seconds", t.load_seconds},
          {"revision", t.revision},
          {"compute", t.compute},
          {"seed", t.seed},
          {"shares", t.shares},
          {"tensor_parallel", t.tensor_parallel},
          {"resumable", t.resumable}};
}

namespace {

// Copying its parameters would take longer than parsing them: they are moved.
distributed::Task task_from(Json json, const std::string& where) {
  distributed::Task task;
  task.key = json_field<std::string>(json, "key", where);
  task.stage = json_field<std::string>(json, "stage", where);
  task.name = json_field<std::string>(json, "name", where);
  task.inputs = json_field<std::vector<std::string>>(json, "inputs", where);
  task.residency = json_field<std::string>(json, "residency", where);
  task.seconds = json_field<double>(json, "seconds", where);
  task.bytes = json_field<int64_t>(json, "bytes", where);
  task.shares = json_field<int>(json, "shares", where);
  // A plan.json that an earlier version wrote lacks these.
  task.load_seconds = json_field_or(json, "load_seconds", 0.0, where);
  task.tensor_parallel = json_field_or(json, "tensor_parallel", 1, where);
  task.resumable = json_field_or(json, "resumable", false, where);
  task.revision = json_field_or(json, "revision", 1, where);
  task.compute = json_field_or(json, "compute", std::string(), where);
  task.seed = json_field_or(json, "seed", uint64_t{0}, where);
  if (!json.contains("parameters")) throw_bad_field(where, "parameters", "is missing");
  task.parameters = std::move(json["parameters"]);
  return task;
}

}  // namespace

std::string plan_text(const distributed::Plan& plan) {
  std::string text = "{\"tasks\":[";
  for (const auto& task : plan.tasks) text += (&task == &plan.tasks.front() ? "" : ",") + to_json(task).dump();
  return text + "]}";
}

distributed::Plan plan_from(Json json, const std::string& where) {
  if (!json.is_object() || !json["tasks"].is_array()) throw_bad_field(where, "tasks", "is missing or no list");
  distributed::Plan plan;
  for (Json& task : json["tasks"]) plan.tasks.push_back(task_from(std::move(task), where));
  return plan;
}

void OutputFolder::claim(const Experiment& experiment, const distributed::Plan& plan, const Json& environment) const {
  create_folder(path_);
  if (std::filesystem::exists(path_ / "environment.json")) {
    const std::string other = this->environment().value("experiment", "");
    if (other != experiment.name())
      throw BadExperiment({path_.string(), "holds the results of experiment " + other + ", not of " + experiment.name(),
                           "give another folder with --output"});
  }
  Json described = environment;
  described["experiment"] = experiment.name();
  publish_file(path_ / "environment.json", described.dump(2) + "\n");
  publish_file(path_ / "experiment.ini", experiment.resolved());
  publish_file(path_ / "plan.json", plan_text(plan) + "\n");
}

distributed::Plan OutputFolder::plan() const {
  const auto file = path_ / "plan.json";
  if (!std::filesystem::exists(file))
    throw MissingInput({path_.string(), "holds no plan.json: no run has been here", "give the folder of a run"});
  return plan_from(read_json(file), file.string());
}

Json OutputFolder::environment() const {
  return read_json(path_ / "environment.json");
}
std::string OutputFolder::experiment() const {
  return read_file(path_ / "experiment.ini");
}

}  // namespace cmc::stages
