#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Abdin et al. 2024 (Phi-3 and Phi-4): Llama with joined projections; "yarn" in its files means longrope.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, {.epsilon = 1e-5, .padding_token = 32000, .positions = 4096});
  config.activation = read_activation(fields, "hidden_act");
  Json json = fields.json();
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.contains(key) || !json.at(key).is_object()) continue;
    Json& rope = json.at(key);
    for (const char* name : {"rope_type", "type"}) {
      if (rope.contains(name) && rope.at(name) == "yarn") rope[name] = "longrope";
    }
  }
  if (!fields.has("original_max_position_embeddings")) json["original_max_position_embeddings"] = 4096;
  read_rope({json, fields.where()}, config, {.reads_part = true});
  read_window_of_all(fields, config, 0);
  config.names.joined = "self_attn.qkv_proj";
  config.names.gate_up = "mlp.gate_up_proj";
  return config;
}

const Family family::phi3 = {"phi3", "Phi3ForCausalLM", read};

}  // namespace cmc::checkpoint
