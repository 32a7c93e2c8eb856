#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// GLM team 2024 (GLM-4-9B in transformers' form): half of each head turns, neighbours together.
static ModelConfig read(const ConfigFields& fields) {
  return read_glm_fields(fields);
}

const Family family::glm = {"glm", "GlmForCausalLM", read};

}  // namespace cmc::checkpoint
