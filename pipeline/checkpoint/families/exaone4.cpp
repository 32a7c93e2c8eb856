#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// LG AI Research 2025: norms after each block and on each head; with windows, only layers that have one turn.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .kv_heads = 32});
  config.head_norm = HeadNorm::shared;
  config.activation = read_activation(fields, "hidden_act");
  read_rope(fields, config);
  config.window = read_window(fields, "sliding_window", 4096);
  // The 32B's pattern is a word ("LLLG") beside the layers' types, which decide.
  const bool has_pattern = config.window > 0 && !fields.has("layer_types");
  const int64_t pattern = has_pattern ? fields.integer_or("sliding_window_pattern", 4, 0, 1 << 20) : 0;
  read_sliding_layers(fields, config, [&](int64_t layer) { return pattern > 0 && (layer + 1) % pattern != 0; });
  for (LayerKind& kind : config.kinds) kind.rotates = config.window == 0 || kind.sliding;
  use_norms_after_blocks(config);
  return config;
}

const Family family::exaone4 = {"exaone4", "Exaone4ForCausalLM", read};

}  // namespace cmc::checkpoint
