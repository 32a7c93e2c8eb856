#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Walsh et al. 2025: norms after each block, and over all heads of queries and of keys.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_olmo2_fields(fields);
  read_rope(fields, config);
  return config;
}

const Family family::olmo2 = {"olmo2", "Olmo2ForCausalLM", read};

}  // namespace cmc::checkpoint
