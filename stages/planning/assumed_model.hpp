#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "stages/experiment/experiment.hpp"
#include "stages/planning/absent_inputs.hpp"
#include "stages/planning/known_shapes.hpp"

// Models that are not there yet.
namespace cmc::stages {

// The shape of published models whose folder is named so.
const KnownShape* shape_of_folder(const std::filesystem::path& folder);  // null: not known

// Sizes of [model.<name>]: by its `shape` (a known name, a config.json or its folder), by the config.json that its
// folder may hold already, or by the folder's name. Throws BadExperiment where none of them tells; BadData.
checkpoint::ModelConfig assumed_config(const Experiment& experiment, const std::string& name);

// What is to be fetched into `folder`; without `config` its size is not known.
AbsentInput absent_model(const std::filesystem::path& folder, const std::optional<checkpoint::ModelConfig>& config);

}  // namespace cmc::stages
