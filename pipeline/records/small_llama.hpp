#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace cmc::records {

// A Llama that is made here and not read from a folder: its config.json, field by field, without a vocabulary, which is
// its tokenizer's.
struct SmallLlama {
  std::vector<std::string> architectures = {"LlamaForCausalLM"};
  std::string model_type = "llama", hidden_act = "silu";
  int64_t hidden_size = 0, num_hidden_layers = 0, num_attention_heads = 0, num_key_value_heads = 0;
  int64_t intermediate_size = 0, max_position_embeddings = 0;
  double rms_norm_eps = 1e-5;
  bool tie_word_embeddings = false;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("architectures", self.architectures);
    visit("model_type", self.model_type);
    visit("hidden_act", self.hidden_act);
    visit("hidden_size", self.hidden_size);
    visit("num_hidden_layers", self.num_hidden_layers);
    visit("num_attention_heads", self.num_attention_heads);
    visit("num_key_value_heads", self.num_key_value_heads);
    visit("intermediate_size", self.intermediate_size);
    visit("max_position_embeddings", self.max_position_embeddings);
    visit("rms_norm_eps", self.rms_norm_eps);
    visit("tie_word_embeddings", self.tie_word_embeddings);
  }
};

}  // namespace cmc::records
