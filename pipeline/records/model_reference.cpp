#include "pipeline/records/model_reference.hpp"

#include "pipeline/records/fields.hpp"

namespace cmc::records {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

ModelReference ModelReference::folder(const std::string& name, const std::string& identity) {
  return {name, FolderModel{identity}};
}
ModelReference ModelReference::made(const std::string& name, const std::string& task) {
  return {name, MadeModel{task}};
}
ModelReference ModelReference::adapted(const std::string& name, const std::string& task, const ModelReference& base) {
  return {name, AdaptedModel{task, std::make_shared<const ModelReference>(base)}};
}
ModelReference ModelReference::random(const std::string& name, const SmallLlama& config) {
  return {name, RandomModel{config}};
}

void ModelReference::each_task(const std::function<void(const std::string&)>& take) const {
  if (const auto* made = std::get_if<MadeModel>(&origin)) take(made->task);
  if (const auto* adapted = std::get_if<AdaptedModel>(&origin)) {
    take(adapted->task);
    adapted->base->each_task(take);
  }
}

Json ModelReference::to_json() const {
  Json json = {{"name", name}};
  std::visit(
      Overloaded{[&](const FolderModel& model) { json["identity"] = model.identity; },
                 [&](const MadeModel& model) { json["task"] = model.task; },
                 [&](const AdaptedModel& model) { json["task"] = model.task, json["base"] = model.base->to_json(); },
                 [&](const RandomModel& model) { json["config"] = records::to_json(model.config); }},
      origin);
  return json;
}

ModelReference ModelReference::from_json(const Json& json, const std::string& where) {
  const auto name = json_field<std::string>(json, "name", where);
  if (json.contains("config"))
    return random(name, records::from_json<SmallLlama>(json.at("config"), where + ": config"));
  if (!json.contains("task")) return folder(name, json_field<std::string>(json, "identity", where));
  const auto task = json_field<std::string>(json, "task", where);
  return json.contains("base") ? adapted(name, task, from_json(json.at("base"), where + ": base")) : made(name, task);
}

}  // namespace cmc::records
