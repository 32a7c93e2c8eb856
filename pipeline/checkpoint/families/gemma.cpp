#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Mesnard et al. 2024: scaled embeddings, norms that multiply by weight + 1.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_gemma_fields(fields, 16);
  config.activation = read_activation(fields, "hidden_act", "gelu_pytorch_tanh");
  // "gelu" in the released files means the tanh form.
  if (config.activation == Activation::gelu) config.activation = Activation::gelu_tanh;
  read_rope(fields, config);
  return config;
}

const Family family::gemma = {"gemma", "GemmaForCausalLM", read};

}  // namespace cmc::checkpoint
