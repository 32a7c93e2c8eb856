#include "pipeline/train/delta.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/model_files.hpp"

namespace cmc::train {
namespace {
namespace fs = std::filesystem;

void check_vocabulary(const std::string& where, int64_t vocabulary, const model::DecoderModel& template_model) {
  const int64_t of_template = template_model.config().vocabulary;
  if (vocabulary == of_template) return;
  throw BadData({where + ": vocab_size",
                 "is " + std::to_string(vocabulary) + ", its template has " + std::to_string(of_template) + " tokens",
                 "a delta is trained beside a template of its own vocabulary"});
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  bool found = false;
  for (const char* name : tokenizer_file_names) {
    if (!fs::exists(from / name)) continue;
    publish_file(to / name, read_file(from / name));
    found = found || std::string_view(name).starts_with("tokenizer.") || std::string_view(name) == "vocab.json";
  }
  if (!found) {
    throw MissingInput({from.string(), "has neither tokenizer.json nor tokenizer.model", "give the template's folder"});
  }
}

}  // namespace

Json llama_delta_config(int64_t vocabulary, int64_t hidden, int64_t layers) {
  expect(hidden >= 16 && hidden % 16 == 0, "the width of a delta is a multiple of 16");
  int64_t head = 64;
  while (hidden % head != 0 || hidden / head < 4) {
    if (head == 16) break;
    head /= 2;
  }
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocabulary},
          {"hidden_size", hidden},
          {"intermediate_size", (hidden * 8 / 3 + 31) / 32 * 32},
          {"num_hidden_layers", layers},
          {"num_attention_heads", hidden / head},
          {"num_key_value_heads", hidden / head},
          {"head_dim", head},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 4096},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"initializer_range", 0.02},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"}};
}

model::DecoderModel create_delta(Json config, const model::DecoderModel& template_model, uint64_t seed,
                                 torch::Device device) {
  if (!config.is_object()) throw BadData({"delta configuration", "is not a JSON object", "give config.json keys"});
  if (!config.contains("vocab_size")) config["vocab_size"] = template_model.config().vocabulary;
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    const Json& source = template_model.config().source;
    if (!config.contains(key) && source.is_object() && source.contains(key)) config[key] = source[key];
  }
  const checkpoint::ModelConfig parsed = checkpoint::parse_model_config(config, "delta configuration");
  check_vocabulary("delta configuration", parsed.vocabulary, template_model);
  return model::DecoderModel::random(parsed, seed, torch::kFloat32, device);
}

model::DecoderModel load_delta(const fs::path& folder, const model::DecoderModel& template_model,
                               torch::Device device) {
  model::DecoderModel delta = model::DecoderModel::load(folder, torch::kFloat32, device);
  check_vocabulary((folder / "config.json").string(), delta.config().vocabulary, template_model);
  return delta;
}

void save_model(const model::DecoderModel& model, const fs::path& tokenizer_folder, const fs::path& folder) {
  const model::SavedModel saved = model.saved();
  if (model.group().tensor_rank().index > 0) return;
  create_folder(folder.parent_path());
  publish_folder(folder, [&](const fs::path& temporary) {
    saved.write(temporary);
    copy_tokenizer(tokenizer_folder, temporary);
  });
}

}  // namespace cmc::train
