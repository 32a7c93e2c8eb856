#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Jiang et al. 2023: Llama with a sliding window on every layer. A missing sliding_window means 4,096, null means none.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 8});
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  read_window_of_all(fields, config, 4096);
  return config;
}

const Family family::mistral = {"mistral", "MistralForCausalLM", read};

}  // namespace cmc::checkpoint
