#pragma once
#include <span>

#include "pipeline/checkpoint/config_fields.hpp"

namespace cmc::checkpoint {

// One family of decoders: how config.json names it, and how its fields fill a ModelConfig.
struct Family {
  const char* model_type;    // config.json "model_type"
  const char* architecture;  // "architectures"[0]
  ModelConfig (*read)(const ConfigFields& fields);
};

// Defined in families/<name>.cpp.
namespace family {
#define FAMILY(name) extern const Family name;
#include "pipeline/checkpoint/families.inc"
#undef FAMILY
}  // namespace family

// All of them.
std::span<const Family* const> families();

}  // namespace cmc::checkpoint
