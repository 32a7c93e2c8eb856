#include "pipeline/checkpoint/architectures.hpp"

namespace cmc::checkpoint {

ModelConfig read_llama(const ConfigFields& fields) {
  ModelConfig config = read_common_fields(fields, false);
  config.activation = read_activation(fields, "hidden_act");
  config.rope = read_rope(fields, 10000.0, config.max_positions);
  config.local_rope = config.rope;
  return config;
}

}  // namespace cmc::checkpoint
