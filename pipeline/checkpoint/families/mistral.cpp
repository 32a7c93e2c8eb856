#include "pipeline/checkpoint/family.hpp"

namespace cmc::checkpoint {

// Jiang et al. 2023: Llama with a sliding window on every layer. A missing sliding_window means 4,096, null means none.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.kv_heads = 8});
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = read_window(fields, "sliding_window", 4096);
  for (LayerKind& kind : config.kinds) kind.sliding = config.window > 0;
  return config;
}

const Family family::mistral = {"mistral", "MistralForCausalLM", read};

}  // namespace cmc::checkpoint
