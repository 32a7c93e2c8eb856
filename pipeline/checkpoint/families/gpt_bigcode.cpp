#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/family_parts.hpp"

namespace cmc::checkpoint {

// Allal et al. 2023 (SantaCoder, StarCoder): GPT-2 where all queries read one key head.
static ModelConfig read(const ConfigFields& fields) {
  ModelConfig config = read_gpt2_fields(fields, "gelu_pytorch_tanh");
  const bool multi_query = fields.flag_or("multi_query", true);
  config.kv_heads = multi_query ? 1 : config.heads;
  config.names.joined_heads = multi_query ? JoinedHeads::blocks : JoinedHeads::groups;
  return config;
}

const Family family::gpt_bigcode = {"gpt_bigcode", "GPTBigCodeForCausalLM", read};

}  // namespace cmc::checkpoint
