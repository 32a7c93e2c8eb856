#include "stages/planning/assumed_model.hpp"

#include <algorithm>

#include "stages/planning/footprint.hpp"

namespace cmc::stages {
namespace {

checkpoint::ModelConfig config_of_shape(const Experiment& experiment, const std::string& key,
                                        const std::filesystem::path& shape) {
  const auto known = std::ranges::find(known_shapes(), shape.string(), &KnownShape::name);
  if (known != known_shapes().end()) return known->config;
  const auto folder = shape.filename() == "config.json" ? shape.parent_path() : shape;
  if (!std::filesystem::exists(folder / "config.json"))
    experiment.fail(key, "is " + shape.string() + ", neither a known shape nor a config.json",
                    "known: " + known_shape_names());
  return checkpoint::read_model_config(folder);
}

}  // namespace

const KnownShape* shape_of_folder(const std::filesystem::path& folder) {
  const std::string name = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  for (const auto& shape : known_shapes())
    if (std::ranges::count(shape.folders, name) > 0) return &shape;
  return nullptr;
}

checkpoint::ModelConfig assumed_config(const Experiment& experiment, const std::string& name) {
  const auto& model = experiment.model.at(name);
  if (!model.shape.empty()) return config_of_shape(experiment, "model." + name + ".shape", model.shape);
  if (std::filesystem::exists(model.path / "config.json")) return checkpoint::read_model_config(model.path);
  if (const auto* shape = shape_of_folder(model.path)) return shape->config;
  experiment.fail("model." + name + ".path",
                  "is " + model.path.string() + ", which does not exist, and its sizes are not known",
                  "bring it there, or set model." + name + ".shape to plan without it: a config.json, or one of " +
                      known_shape_names());
}

AbsentInput absent_model(const std::filesystem::path& folder, const std::optional<checkpoint::ModelConfig>& config) {
  AbsentInput input{AbsentInput::Kind::model, folder.string(), "its size is not known", 0};
  if (!config) return input;
  const auto* shape = shape_of_folder(folder);
  const double weights = footprint_of(*config).weights();
  input.bytes = static_cast<int64_t>(weights) * (shape ? shape->stored_bytes : 2);
  input.assumed = std::to_string(static_cast<int64_t>(weights / 1e6)) + "M parameters";
  return input;
}

}  // namespace cmc::stages
