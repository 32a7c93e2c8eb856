#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Cohere 2024 (Command R): attention and MLP side by side on one LayerNorm, neighbours turn together, scaled logits.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_cohere_fields(fields);
  config.head_norm = fields.flag_or("use_qk_norm", false) ? HeadNorm::own : HeadNorm::none;
  read_rope(fields, config, {.theta = 5e5});
  return config;
}

const Family family::cohere = {"cohere", "CohereForCausalLM", read};

}  // namespace cmc::checkpoint
