#include "stages/planning/absent_inputs.hpp"

#include <algorithm>

#include "pipeline/core/hash.hpp"

namespace cmc::stages {

std::string AbsentInputs::identity_of(const AbsentInput& input) {
  by_path_.emplace(input.path, input);
  return *identities_.insert(sha256("not here: " + input.path)).first;
}

bool AbsentInputs::are_in(const Json& parameters) const {
  if (parameters.is_string()) return holds(parameters.get<std::string>());
  return parameters.is_structured() &&
         std::ranges::any_of(parameters, [this](const Json& part) { return are_in(part); });
}

}  // namespace cmc::stages
