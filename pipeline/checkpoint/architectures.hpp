#pragma once
#include <span>
#include <string>

#include "pipeline/checkpoint/config_fields.hpp"

namespace cmc::checkpoint {

// A known architecture: how config.json names it, and how its fields fill a ModelConfig.
struct Architecture {
  const char* name;        // config.json "architectures"[0]
  const char* model_type;  // config.json "model_type", for folders without "architectures"
  ModelConfig (*read)(const ConfigFields& fields);
};

// All of them. A new one is a small file with a read function, and a line in the table.
std::span<const Architecture> architectures();

ModelConfig read_llama(const ConfigFields& fields);
ModelConfig read_mistral(const ConfigFields& fields);
ModelConfig read_gemma3(const ConfigFields& fields);

}  // namespace cmc::checkpoint
