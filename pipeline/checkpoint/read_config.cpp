#include "pipeline/checkpoint/model_config.hpp"

#include <array>

#include "pipeline/checkpoint/architectures.hpp"
#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

std::span<const Architecture> architectures() {
  static constexpr std::array<Architecture, 3> table = {{{"LlamaForCausalLM", "llama", read_llama},
                                                         {"MistralForCausalLM", "mistral", read_mistral},
                                                         {"Gemma3ForCausalLM", "gemma3_text", read_gemma3}}};
  return table;
}

namespace {

std::string name_in(const ConfigFields& fields) {
  if (!fields.has("architectures")) return fields.text_or("model_type", "");
  const Json& list = fields.json().at("architectures");
  if (!list.is_array() || list.empty() || !list.at(0).is_string()) {
    fields.fail("architectures", "is no list of names", "");
  }
  return list.at(0).get<std::string>();
}

const Architecture& find_architecture(const ConfigFields& fields) {
  const std::string name = name_in(fields);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (name == architecture.name || (!fields.has("architectures") && name == architecture.model_type)) {
      return architecture;
    }
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  fields.fail("architectures", "names an unknown architecture (" + (name.empty() ? "none" : name) + ")",
              "known: " + known);
}

}  // namespace

ModelConfig parse_model_config(const Json& config, const std::string& where) {
  if (!config.is_object()) throw BadData({where, "is no JSON object", "give a Hugging Face config.json"});
  const ConfigFields fields(config, where);
  const Architecture& architecture = find_architecture(fields);
  ModelConfig result = architecture.read(fields);
  result.architecture = architecture.name;
  return result;
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const auto file = folder / "config.json";
  ModelConfig config = parse_model_config(read_json(file), file.string());
  const auto generation = folder / "generation_config.json";
  if (!std::filesystem::exists(generation)) return config;
  const Json json = read_json(generation);
  const auto ends = read_tokens(ConfigFields(json, generation.string()), "eos_token_id", config.vocabulary);
  if (!ends.empty()) {
    config.end_tokens = ends;
    if (config.end_token < 0) config.end_token = ends.front();
  }
  return config;
}

}  // namespace cmc::checkpoint
