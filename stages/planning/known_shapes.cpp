#include "stages/planning/known_shapes.hpp"

namespace cmc::stages {
namespace {

struct Sizes {
  int64_t vocabulary, hidden, layers, heads, kv_heads, intermediate;
  double theta = 10000.0;
  bool tied = false;
};

Json llama(const Sizes& sizes) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", sizes.vocabulary},
          {"hidden_size", sizes.hidden},
          {"intermediate_size", sizes.intermediate},
          {"num_hidden_layers", sizes.layers},
          {"num_attention_heads", sizes.heads},
          {"num_key_value_heads", sizes.kv_heads},
          {"max_position_embeddings", 8192},
          {"rms_norm_eps", 1e-5},
          {"hidden_act", "silu"},
          {"rope_theta", sizes.theta},
          {"tie_word_embeddings", sizes.tied}};
}

Json mistral(const Sizes& sizes) {
  Json config = llama(sizes);
  config["architectures"] = {"MistralForCausalLM"};
  config["model_type"] = "mistral";
  config["sliding_window"] = 4096;
  return config;
}

Json gemma3_270m() {
  return {{"architectures", {"Gemma3ForCausalLM"}},
          {"model_type", "gemma3_text"},
          {"vocab_size", 262144},
          {"hidden_size", 640},
          {"intermediate_size", 2048},
          {"num_hidden_layers", 18},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 1},
          {"head_dim", 256},
          {"max_position_embeddings", 32768},
          {"rms_norm_eps", 1e-6},
          {"hidden_activation", "gelu_pytorch_tanh"},
          {"sliding_window", 512},
          {"query_pre_attn_scalar", 256},
          {"sliding_window_pattern", 6},
          {"tie_word_embeddings", true}};
}

Json gemma2_9b() {
  Json json = gemma3_270m();
  json.update({{"architectures", {"Gemma2ForCausalLM"}},
               {"model_type", "gemma2"},
               {"vocab_size", 256000},
               {"hidden_size", 3584},
               {"intermediate_size", 14336},
               {"num_hidden_layers", 42},
               {"num_attention_heads", 16},
               {"num_key_value_heads", 8},
               {"max_position_embeddings", 8192},
               {"sliding_window", 4096},
               {"rope_theta", 1e4}});
  for (const char* key : {"sliding_window_pattern", "rope_local_base_freq"}) json.erase(key);
  return json;
}

// A story-teller of llama2.c: Llama's vocabulary, the output tied to the embedding.
Json stories(int64_t hidden, int64_t layers, int64_t heads, int64_t intermediate) {
  return llama({32000, hidden, layers, heads, heads, intermediate, 1e4, true});
}

checkpoint::ModelConfig parsed(const std::string& name, const Json& config) {
  return checkpoint::parse_model_config(config, "shape " + name);
}

std::vector<KnownShape> all_shapes() {
  std::vector<KnownShape> shapes;
  const auto add = [&](const std::string& name, std::vector<std::string> folders, int64_t bytes, const Json& config) {
    shapes.push_back({name, std::move(folders), bytes, parsed(name, config)});
  };
  add("tiny", {}, 4, llama({4096, 256, 2, 4, 2, 512}));
  add("smollm2_135m", {"smollm2-135m-instruct"}, 2, llama({49152, 576, 30, 9, 3, 1536, 1e5, true}));
  add("gemma3_270m", {"gemma-3-270m"}, 2, gemma3_270m());
  add("llama2_7b", {"Llama-2-7b-hf", "Llama-2-7b-chat-hf"}, 2, llama({32000, 4096, 32, 32, 32, 11008}));
  add("mistral_7b", {"Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.1"}, 2, mistral({32000, 4096, 32, 32, 8, 14336}));
  add("llama3_8b", {}, 2, llama({128256, 4096, 32, 32, 8, 14336, 5e5}));
  add("gemma2_9b", {}, 2, gemma2_9b());
  add("llama2_13b", {"Llama-2-13b-hf", "Llama-2-13b-chat-hf"}, 2, llama({32000, 5120, 40, 40, 40, 13824}));
  add("llama2_70b", {"Llama-2-70b-hf", "Llama-2-70b-chat-hf"}, 2, llama({32000, 8192, 80, 64, 8, 28672}));
  add("stories15m", {"stories15M"}, 4, stories(288, 6, 6, 768));
  add("stories42m", {"stories42M"}, 4, stories(512, 8, 8, 1376));
  add("stories110m", {"stories110M"}, 4, stories(768, 12, 12, 2048));
  return shapes;
}

}  // namespace

const std::vector<KnownShape>& known_shapes() {
  static const std::vector<KnownShape> shapes = all_shapes();
  return shapes;
}

std::string known_shape_names() {
  std::string names;
  for (const auto& shape : known_shapes()) names += (names.empty() ? "" : ", ") + shape.name;
  return names;
}

checkpoint::ModelConfig delta_shape(int64_t vocabulary) {
  return parsed("delta", llama({vocabulary, 192, 4, 3, 3, 512}));
}

}  // namespace cmc::stages
