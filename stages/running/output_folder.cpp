#include "stages/running/output_folder.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/provenance.hpp"
#include "pipeline/records/fields.hpp"

namespace cmc::stages {

namespace {

using enum records::Presence;  // optional: a plan.json that an earlier version wrote lacks it

template <class Self, class Visit>
void each_field(Self& task, Visit&& visit) {
  visit("key", task.key, required);
  visit("stage", task.stage, required);
  visit("name", task.name, required);
  visit("parameters", task.parameters, required);
  visit("inputs", task.inputs, required);
  visit("residency", task.residency, required);
  visit("seconds", task.seconds, required);
  visit("bytes", task.bytes, required);
  visit("shares", task.shares, required);
  visit("load_seconds", task.load_seconds, optional);
  visit("tensor_parallel", task.tensor_parallel, optional);
  visit("pipeline_parallel", task.pipeline_parallel, optional);
  visit("resumable", task.resumable, optional);
  visit("revision", task.revision, optional);
  visit("compute", task.compute, optional);
  visit("seed", task.seed, optional);
}

// Copying its parameters would take longer than parsing them: they are moved.
distributed::Task task_from(Json json, const std::string& where) {
  distributed::Task task;
  each_field(task, [&]<class T>(const char* name, T& value, records::Presence presence) {
    if (presence == optional && !json.contains(name)) return;
    if constexpr (std::same_as<T, Json>) {
      if (!json.is_object() || !json.contains(name)) throw_bad_field(where, name, "is missing");
      value = std::move(json[name]);
    } else {
      value = json_field<T>(json, name, where);
    }
  });
  return task;
}

}  // namespace

Json to_json(const distributed::Task& task) {
  Json json;
  each_field(task, [&](const char* name, const auto& value, records::Presence) { json[name] = value; });
  return json;
}

std::string plan_text(const distributed::Plan& plan) {
  std::string text = "{\"tasks\":[";
  for (const auto& task : plan.tasks) {
    if (&task != &plan.tasks.front()) text += ',';
    text += to_json(task).dump();
  }
  return text + "]}";
}

distributed::Plan plan_from(Json json, const std::string& where) {
  if (!json.is_object() || !json["tasks"].is_array()) throw_bad_field(where, "tasks", "is missing or no list");
  distributed::Plan plan;
  for (Json& task : json["tasks"]) plan.tasks.push_back(task_from(std::move(task), where));
  return plan;
}

// A run's folder has its environment.json from the first moment on.
void OutputFolder::expect_ours(const Experiment& experiment) const {
  if (std::filesystem::exists(path_ / "environment.json")) {
    const std::string other = this->environment().value("experiment", "");
    if (other != experiment.name())
      throw BadExperiment({path_.string(), "holds the results of experiment " + other + ", not of " + experiment.name(),
                           "give another folder with --output"});
    return;
  }
  for (const char* name : {"experiment.ini", "plan.json", "results.h5"})
    if (std::filesystem::exists(path_ / name))
      throw Refused({path_.string(), std::string("holds a file ") + name + " that no run wrote",
                     "give another folder with --output"});
}

void OutputFolder::claim(const Experiment& experiment, const distributed::Plan& plan, const Json& environment) const {
  create_folder(path_);
  expect_ours(experiment);
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
