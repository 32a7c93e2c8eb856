#include <cmath>
#include <iostream>

#include "pipeline/core/random.hpp"
#include "tests/cuda/checks.hpp"

namespace cmc::device_checks {
namespace {

bool any = false, failed = false;

Shared from_config(const checkpoint::ModelConfig& config, torch::Dtype dtype, torch::Device device) {
  return std::make_shared<const model::DecoderModel>(model::DecoderModel::random(config, 7, dtype, device));
}

Json gemma3_config() {
  return {{"architectures", {"Gemma3ForCausalLM"}},
          {"model_type", "gemma3_text"},
          {"vocab_size", 500},
          {"hidden_size", 128},
          {"intermediate_size", 256},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 1},
          {"head_dim", 64},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-6},
          {"initializer_range", 0.1},
          {"hidden_activation", "gelu_pytorch_tanh"},
          {"rope_theta", 1e6},
          {"rope_local_base_freq", 1e4},
          {"sliding_window", 8},
          {"query_pre_attn_scalar", 64},
          {"layer_types", {"sliding_attention", "sliding_attention", "full_attention"}},
          {"tie_word_embeddings", true}};
}

// Gemma 2's soft-caps on Gemma 3's parts, without its normalised heads.
Shared soft_capped(torch::Dtype dtype, torch::Device device) {
  auto config = checkpoint::parse_model_config(gemma3_config(), "test");
  config.head_norm = checkpoint::HeadNorm::none;
  config.attention_softcap = 5.0;
  config.final_softcap = 3.0;
  return from_config(config, dtype, device);
}

Json windowed_config() {
  Json config = llama_config(500, 128, 2, 4, 2, 256, 0.15);
  config["architectures"] = {"MistralForCausalLM"};
  config["model_type"] = "mistral";
  config["sliding_window"] = 6;
  return config;
}

}  // namespace

void report(const std::string& name, double worst, double allowed, const Json& more) {
  const bool passed = worst <= allowed;  // a NaN does not
  any = true;
  failed = failed || !passed;
  Json line = {{"check", name}, {"passed", passed}, {"allowed", allowed}};
  line["worst"] = std::isfinite(worst) ? Json(worst) : Json("not finite");
  line.update(more);
  std::cout << line.dump() << std::endl;
}

void guarded(const std::string& name, const std::function<void()>& check) {
  try {
    check();
  } catch (const std::exception& error) {
    any = failed = true;
    std::cout << Json{{"check", name}, {"passed", false}, {"error", std::string(error.what()).substr(0, 600)}}.dump()
              << std::endl;
  }
}

bool all_passed() {
  return any && !failed;
}

Json llama_config(int64_t vocabulary, int64_t hidden, int64_t layers, int64_t heads, int64_t kv_heads,
                  int64_t intermediate, double range) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocabulary},
          {"hidden_size", hidden},
          {"intermediate_size", intermediate},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"num_key_value_heads", kv_heads},
          {"max_position_embeddings", 8192},
          {"rms_norm_eps", 1e-5},
          {"initializer_range", range},
          {"hidden_act", "silu"},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", false}};
}

Shared make_model(const Json& config, torch::Dtype dtype, torch::Device device) {
  return from_config(checkpoint::parse_model_config(config, "test"), dtype, device);
}

std::vector<std::pair<std::string, std::function<Shared(torch::Dtype, torch::Device)>>> all_kinds() {
  const auto of = [](const Json& config) {
    return [config](torch::Dtype dtype, torch::Device device) { return make_model(config, dtype, device); };
  };
  return {{"grouped heads of 64", of(llama_config(500, 256, 3, 4, 2, 512, 0.1))},
          {"heads of 16", of(llama_config(500, 64, 3, 4, 4, 160, 0.2))},
          {"heads of 128", of(llama_config(500, 256, 2, 2, 2, 512, 0.1))},
          {"a window on each layer", of(windowed_config())},
          {"windows and normalised heads", of(gemma3_config())},
          {"windows and soft-caps", soft_capped}};
}

std::vector<int64_t> some_tokens(int64_t count, int64_t vocabulary, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(vocabulary))));
  return tokens;
}

}  // namespace cmc::device_checks
