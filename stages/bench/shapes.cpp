#include "stages/bench/shapes.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

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

struct Shape {
  const char* name;
  checkpoint::ModelConfig (*make)();
};

template <const auto& Make>
checkpoint::ModelConfig parsed() {
  return checkpoint::parse_model_config(Make(), "shape");
}

const auto tiny = [] { return llama({4096, 256, 2, 4, 2, 512}); };
const auto smollm2_135m = [] { return llama({49152, 576, 30, 9, 3, 1536, 1e5, true}); };
const auto llama2_7b = [] { return llama({32000, 4096, 32, 32, 32, 11008}); };
const auto llama2_13b = [] { return llama({32000, 5120, 40, 40, 40, 13824}); };
const auto llama2_70b = [] { return llama({32000, 8192, 80, 64, 8, 28672}); };
const auto llama3_8b = [] { return llama({128256, 4096, 32, 32, 8, 14336, 5e5}); };
const auto mistral_7b = [] { return mistral({32000, 4096, 32, 32, 8, 14336}); };

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {"tiny", parsed<tiny>},           {"smollm2_135m", parsed<smollm2_135m>}, {"gemma3_270m", parsed<gemma3_270m>},
      {"llama2_7b", parsed<llama2_7b>}, {"mistral_7b", parsed<mistral_7b>},     {"llama3_8b", parsed<llama3_8b>},
      {"gemma2_9b", parsed<gemma2_9b>}, {"llama2_13b", parsed<llama2_13b>},     {"llama2_70b", parsed<llama2_70b>}};
  return all;
}

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const Shape& shape : shapes()) names.push_back(shape.name);
  return names;
}

checkpoint::ModelConfig shape_named(const std::string& name, int64_t layers) {
  const auto found = std::ranges::find_if(shapes(), [&](const Shape& shape) { return name == shape.name; });
  if (found == shapes().end()) {
    std::string known;
    for (const auto& each : shape_names()) known += (known.empty() ? "" : ", ") + each;
    throw Usage({"--shape " + name, "is not known", "known: " + known});
  }
  auto config = found->make();
  if (layers < 0 || layers > config.layers)
    throw Usage({"--layers", "is " + std::to_string(layers) + " of " + std::to_string(config.layers), "0: all"});
  if (layers > 0) config.layers = layers;
  config.kinds.resize(static_cast<size_t>(config.layers));
  return config;
}

checkpoint::ModelConfig delta_shape(int64_t vocabulary) {
  return checkpoint::parse_model_config(llama({vocabulary, 192, 4, 3, 3, 512}), "delta");
}

}  // namespace cmc::stages
