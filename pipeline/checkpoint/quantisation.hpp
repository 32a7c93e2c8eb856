#pragma once
#include <string>

#include "pipeline/checkpoint/stored_tensor.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::checkpoint {

// Throws BadData when config.json says that the weights are quantised (quantization_config, or compression_config as
// compressed-tensors once wrote it), `where` being its name: names the method and how to save the model de-quantised.
void check_not_quantised(const Json& config, const std::string& where);

// The same where only the tensors of a file show it, by their names and types.
void check_not_quantised(const StoredTensors& tensors, const std::string& where);

}  // namespace cmc::checkpoint
