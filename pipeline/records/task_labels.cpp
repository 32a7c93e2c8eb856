#include "pipeline/records/task_labels.hpp"

#include <cmath>
#include <limits>

#include "pipeline/records/stress.hpp"

namespace cmc::records {
namespace {

std::string name_in(const Json& parameters, const char* key, const std::string& where) {
  return json_field<std::string>(json_field<Json>(parameters, key, where), "name", where + ": " + key);
}

// A model is named by its text or by its member "name".
std::string name_or_text(const Json& parameters, const char* key, const std::string& where) {
  if (!parameters.contains(key)) return "";
  return parameters.at(key).is_string() ? parameters.at(key).get<std::string>() : name_in(parameters, key, where);
}

void set_strengths(TaskLabels& labels, const Json& parameters, const std::string& where) {
  labels.strengths = json_field_or(parameters, "strengths", std::vector<double>{}, where);
  if (labels.strengths.size() == 1) labels.system.strength = labels.strengths.front();
  if (labels.strengths.size() > 1) labels.system.strength = std::numeric_limits<double>::quiet_NaN();
}

// Earlier versions name a style instead.
void set_prompt(TaskLabels& labels, const Json& parameters, const char* key, const std::string& where) {
  if (!parameters.contains(key) || !parameters.at(key).is_object()) return;
  labels.prompt_before = json_field<std::string>(parameters.at(key), "before", where + ": " + key);
  labels.prompt_after = json_field<std::string>(parameters.at(key), "after", where + ": " + key);
}

// Stages that name what the delta reads, too.
bool asks_of_base(const std::string& stage) {
  return stage == "byte_exact" || stage == "instruct" || stage == "ifeval" || stage == "likelihood";
}

TaskLabels evaluation_labels(const std::string& stage, const Json& parameters, const std::string& where) {
  TaskLabels labels;
  labels.system = records::from_json<System>(parameters, where);
  set_strengths(labels, parameters, where);
  set_prompt(labels, parameters, asks_of_base(stage) ? "base_prompt" : "prompt", where);
  if (stage == "instruct")
    labels.set = json_field_or(parameters, "prompts", std::string(name_of(Prompts::plain)), where);
  if (stage == "ifeval") labels.set = ifeval_set;
  if (stage == "unlearn") labels.set = json_field<std::string>(parameters, "set", where);
  if (stage == "robustness")
    labels.set =
        stressed_set(json_field<std::string>(parameters, "set", where), records::from_json<Stress>(parameters, where));
  if (stage == "relearn") labels.purpose = stage;
  if (stage == "byte_exact") labels.set = byte_exact_set;
  if (stage == "likelihood") labels.set = unread_set(json_field<std::string>(parameters, "part", where));
  if (stage == "judge")
    labels.set =
        judged_set(name_in(parameters, "judge", where), json_field<std::string>(parameters, "baseline", where));
  return labels;
}

// The delta's own name. Units of earlier versions have that of its start alone; their name, "train delta fast to
// unlearn", has both roles and it.
std::string trained_delta(const Json& parameters, const std::string& role, const std::string& kind,
                          const std::string& where) {
  if (parameters.contains("trained")) return json_field<std::string>(parameters, "trained", where);
  const std::string name = json_field_or(parameters, "name", std::string(), where), before = "train " + role + " ",
                    after = " to " + kind;
  if (name.size() > before.size() + after.size() && name.starts_with(before) && name.ends_with(after))
    return name.substr(before.size(), name.size() - before.size() - after.size());
  return name_or_text(parameters, "delta", where);
}

TaskLabels training_labels(const std::string& stage, const Json& parameters, const std::string& where) {
  TaskLabels labels;
  labels.system.method = Method::none;
  labels.system.target = json_field_or(parameters, "target", std::string(), where);
  if (stage == "prepare" && parameters.contains("part"))
    labels.system.method = parameters.at("part") == "retain" ? Method::retain_only : Method::vanilla;
  if (stage == "adapt") {
    labels.system.method = method_named(json_field<std::string>(parameters, "method", where), where);
    labels.purpose = json_field<std::string>(parameters, "purpose", where);
  }
  if (stage == "train") {
    const auto role = find_named<Role>(json_field_or(parameters, "role", std::string(name_of(Role::delta)), where));
    if (!role) throw_bad_field(where, "role", "is not known");
    labels.system.method = method_of(*role);
    labels.purpose = json_field_or(parameters, "kind", std::string(), where);
    labels.system.delta = trained_delta(parameters, std::string(name_of(*role)), labels.purpose, where);
  }
  return labels;
}

TaskLabels map_labels(const Json& parameters, const std::string& where) {
  TaskLabels labels;
  labels.system.method = Method::none;
  labels.system.target = name_or_text(parameters, "base", where);
  labels.system.delta = name_or_text(parameters, "delta", where);
  labels.system.fusion.map = json_field_or(parameters, "method", std::string(), where);
  return labels;
}

TaskLabels shift_labels(const Json& parameters, const std::string& where) {
  TaskLabels labels;
  labels.system.method = method_named(json_field<std::string>(parameters, "method", where), where);
  labels.system.target = name_or_text(parameters, "other", where);
  labels.set = shift_set(name_or_text(parameters, "reference", where));
  return labels;
}

}  // namespace

std::vector<System> TaskLabels::systems() const {
  std::vector<System> all;
  for (const double strength : strengths) {
    System one = system;
    one.strength = system.adds_delta() ? strength : 0;
    all.push_back(std::move(one));
  }
  return all;
}

std::string judged_set(const std::string& judge, const std::string& baseline) {
  return "judged by " + judge + " against " + baseline;
}
std::string unread_set(std::string_view part) {
  return std::string(part) + " answers";
}
std::string shift_set(const std::string& reference) {
  return "answers of " + reference;
}

TaskLabels labels_of(const std::string& stage, const Json& parameters, const std::string& where) {
  const auto labels = [&] {
    if (stage == "instruct" || stage == "ifeval" || stage == "judge" || stage == "unlearn" || stage == "robustness" ||
        stage == "relearn" || stage == "byte_exact" || stage == "likelihood")
      return evaluation_labels(stage, parameters, where);
    if (stage == "similarity") return shift_labels(parameters, where);
    if (stage == "token_map") return map_labels(parameters, where);
    return training_labels(stage, parameters, where);
  };
  TaskLabels found = labels();
  if (!found.system.seed && parameters.contains("seed") && parameters.at("seed").is_number_integer())
    found.system.seed = parameters.at("seed").get<int64_t>();
  if (!found.system.seed && parameters.contains("training"))
    if (const Json& training = parameters.at("training"); training.is_object() && training.contains("seed"))
      found.system.seed = training.at("seed").get<int64_t>();
  return found;
}

void Seeds::add(const std::string& key, const Json& parameters, const std::vector<std::string>& inputs) {
  const auto named = [](const Json& object) -> std::optional<int64_t> {
    if (!object.is_object() || !object.contains("seed") || !object.at("seed").is_number()) return std::nullopt;
    return object.at("seed").get<int64_t>();
  };
  Known known{named(parameters), inputs};
  if (!known.named && parameters.contains("training")) known.named = named(parameters.at("training"));
  tasks_[key] = std::move(known);
}

std::optional<int64_t> Seeds::of(const std::string& key) const {
  const auto task = tasks_.find(key);
  if (task == tasks_.end()) return std::nullopt;
  const auto [known, added] = found_.try_emplace(key);  // first: also the end of inputs that run in a circle
  if (!added) return known->second;
  std::optional<int64_t> seed = task->second.named;
  for (size_t i = 0; !seed && i < task->second.inputs.size(); ++i) seed = of(task->second.inputs[i]);
  return found_[key] = seed;
}

}  // namespace cmc::records
