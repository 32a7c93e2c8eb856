#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Olmo team 2025: OLMo 2 with a window on three of four layers.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_olmo2_fields(fields);
  read_rope(fields, config, {.theta = 5e5, .local_theta = fields.number_or("rope_theta", 5e5, 1.0 + 1e-6, 1e15)});
  config.window = read_window(fields, "sliding_window", 4096);
  read_sliding_layers(fields, config, [](int64_t layer) { return (layer + 1) % 4 != 0; });
  return config;
}

const Family family::olmo3 = {"olmo3", "Olmo3ForCausalLM", read};

}  // namespace cmc::checkpoint
