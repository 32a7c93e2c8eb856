#pragma once
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "pipeline/core/json.hpp"
#include "pipeline/records/small_llama.hpp"

namespace cmc::records {

struct ModelReference;

// Where a model that a task needs comes from.
struct FolderModel {
  std::string identity;  // of its content, so that the same model elsewhere gives the same key
};
struct MadeModel {
  std::string task;  // key of the task that makes it
};
struct AdaptedModel {
  std::string task;  // key of the task that makes the LoRA adapters
  std::shared_ptr<const ModelReference> base;
};
struct RandomModel {
  SmallLlama config;
};

// A model as task parameters name it: {"name", "identity"}, {"name", "task"}, {"name", "task", "base"} or
// {"name", "config"}.
struct ModelReference {
  std::string name;  // the experiment's
  std::variant<FolderModel, MadeModel, AdaptedModel, RandomModel> origin;

  static ModelReference folder(const std::string& name, const std::string& identity);
  static ModelReference made(const std::string& name, const std::string& task);
  static ModelReference adapted(const std::string& name, const std::string& task, const ModelReference& base);
  static ModelReference random(const std::string& name, const SmallLlama& config);

  bool is_random() const { return std::holds_alternative<RandomModel>(origin); }
  // Canonical text, equal for what is the same model: what a rank keeps loaded is known by it.
  std::string identity() const { return to_json().dump(); }
  // Calls `take` with the key of each task that must have run, its base's too.
  void each_task(const std::function<void(const std::string& key)>& take) const;

  Json to_json() const;
  // Throws BadData naming `where`.
  static ModelReference from_json(const Json& json, const std::string& where);
};

}  // namespace cmc::records
