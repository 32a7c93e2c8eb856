#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Radford et al. 2019: learned positions, LayerNorm, an ungated MLP; matrices are stored the other way round.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_gpt2_fields(fields, "gelu_new");
  for (size_t layer = 0; layer < config.kinds.size() && fields.flag_or("scale_attn_by_inverse_layer_idx", false);
       ++layer)
    config.kinds[layer].attention_scale = 1.0 / static_cast<double>(layer + 1);
  config.names.joined_heads = JoinedHeads::blocks;
  config.names.transposed = true;
  return config;
}

const Family family::gpt2 = {"gpt2", "GPT2LMHeadModel", read};

}  // namespace cmc::checkpoint
