#pragma once
#include <memory>

#include "pipeline/model/decoder_model.hpp"

namespace cmc::fusion {

// A random Llama of some thousand parameters. A large initializer_range makes its logits differ clearly between
// contexts.
inline std::shared_ptr<const model::DecoderModel> tiny_llama(int64_t vocabulary, uint64_t seed) {
  const Json config{{"architectures", {"LlamaForCausalLM"}},
                    {"model_type", "llama"},
                    {"vocab_size", vocabulary},
                    {"hidden_size", 16},
                    {"intermediate_size", 32},
                    {"num_hidden_layers", 2},
                    {"num_attention_heads", 4},
                    {"num_key_value_heads", 2},
                    {"max_position_embeddings", 512},
                    {"rms_norm_eps", 1e-5},
                    {"initializer_range", 0.5},
                    {"hidden_act", "silu"},
                    {"rope_theta", 10000.0},
                    {"tie_word_embeddings", false}};
  return std::make_shared<const model::DecoderModel>(
      model::DecoderModel::random(checkpoint::parse_model_config(config, "test"), seed, torch::kFloat32, torch::kCPU));
}

}  // namespace cmc::fusion
