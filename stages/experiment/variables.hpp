#pragma once
#include <string>

// ${NAME} in the values of an experiment file. What a variable holds stands for itself, whatever it looks like; $${
// stands for ${.
namespace cmc::stages {

// `value` with the environment's variables put in. ${world}, whose folder is not known yet, stays; what else is meant
// literally is written with $${. CMC_MODELS and CMC_DATA have defaults (shipped_folder). Throws BadExperiment naming
// file, key and variable.
std::string with_environment(const std::string& value, const std::string& file, const std::string& key);

// Where the shipped experiments look for models (CMC_MODELS, else "models") and data sets (CMC_DATA, else "data").
std::string shipped_folder(const std::string& variable);

bool uses_world(const std::string& value);  // of with_environment

// What such a value means, with the generated world in `folder` ("": left as it stands).
std::string with_world(const std::string& value, const std::string& folder);

}  // namespace cmc::stages
