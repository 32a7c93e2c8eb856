#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Cohere 2025 (Command R7B, Command A): windows on three of four layers, and only those turn.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_cohere_fields(fields);
  read_rope(fields, config);
  config.window = read_window(fields, "sliding_window", 4096);
  const int64_t pattern = fields.integer_or("sliding_window_pattern", 4, 1, 1 << 20);
  read_sliding_layers(fields, config, [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  for (LayerKind& kind : config.kinds) kind.rotates = kind.sliding && config.window > 0;
  return config;
}

const Family family::cohere2 = {"cohere2", "Cohere2ForCausalLM", read};

}  // namespace cmc::checkpoint
