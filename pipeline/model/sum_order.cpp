#include "pipeline/model/sum_order.hpp"

#include "pipeline/cpu/instruction_set.hpp"

namespace cmc::model {

bool sums_in_one_order(const checkpoint::ModelConfig& config) {
  const bool plain_heads =
      config.head_norm == checkpoint::HeadNorm::none || config.head_norm == checkpoint::HeadNorm::shared;
  const bool turns_whole = config.rotary.first == 0 && config.rotary.count == config.head_dim && !config.rotary.pairs;
  const bool plain_scores = config.alibi.slopes.empty() && config.attention_softcap == 0.0 && !config.sinks &&
                            config.clip == 0.0 && !config.has_latent();
  const bool plain_rest = config.activation != checkpoint::Activation::gelu && config.experts.count == 0 &&
                          config.final_softcap == 0.0 && config.learned_positions == 0 && config.embedding_width == 0;
  return cpu::instruction_set() != cpu::InstructionSet::none && plain_heads && turns_whole && plain_scores &&
         plain_rest;
}

}  // namespace cmc::model
