#include <array>
#include <utility>

#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::checkpoint {

std::span<const Family* const> families() {
#define FAMILY(name) &family::name,
  static const auto all = std::to_array<const Family*>({
#include "pipeline/checkpoint/families.inc"
  });
#undef FAMILY
  return all;
}

namespace {

std::string architecture_in(const ConfigFields& fields) {
  if (!fields.has("architectures")) return "";
  const Json& list = fields.json().at("architectures");
  if (!list.is_array() || (!list.empty() && !list.at(0).is_string()))
    fields.fail("architectures", "is no list of names", "");
  return list.empty() ? "" : list.at(0).get<std::string>();
}

// transformers goes by model_type; `architectures` decides only where there is none.
const Family& find_family(const ConfigFields& fields) {
  const std::string architecture = architecture_in(fields), type = fields.text_or("model_type", "");
  std::string known;
  for (const Family* family : families()) {
    if (type.empty() ? architecture == family->architecture : type == family->model_type) {
      if (!architecture.empty() && architecture != family->architecture) {
        log_warning_once(fields.where(), ": architectures says ", architecture, ", model_type ", type,
                         ": read by its model_type, as transformers does");
      }
      return *family;
    }
    known += (known.empty() ? "" : ", ") + std::string(family->model_type);
  }
  const std::string key = type.empty() ? "architectures" : "model_type";
  const std::string name = type.empty() ? (architecture.empty() ? "none" : architecture) : type;
  fields.fail(key, "names an unknown architecture (" + name + ")", "known: " + known);
}

}  // namespace

ModelConfig parse_model_config(const Json& config, const std::string& where) {
  if (!config.is_object()) throw BadData({where, "is no JSON object", "give a Hugging Face config.json"});
  const ConfigFields fields(config, where);
  const Family& family = find_family(fields);
  ModelConfig result = family.read(fields);
  if (result.architecture.empty()) {
    result.architecture = family.architecture;
    result.model_type = family.model_type;
  }
  return result;
}

namespace {

// What transformers' generate does to scores when the folder asks for it, and nothing here does.
void warn_of_ignored(const Json& generation, const std::string& where) {
  const auto is_neutral = [](const Json& value, const Json& neutral) {
    const bool nothing = value.is_null() || value == false || (value.is_structured() && value.empty());
    return nothing || value == neutral;
  };
  const std::pair<const char*, Json> settings[] = {{"repetition_penalty", 1.0},
                                                   {"encoder_repetition_penalty", 1.0},
                                                   {"no_repeat_ngram_size", 0},
                                                   {"suppress_tokens", nullptr},
                                                   {"begin_suppress_tokens", nullptr},
                                                   {"bad_words_ids", nullptr},
                                                   {"sequence_bias", nullptr},
                                                   {"forced_bos_token_id", nullptr},
                                                   {"forced_eos_token_id", nullptr},
                                                   {"min_length", 0},
                                                   {"min_new_tokens", nullptr},
                                                   {"exponential_decay_length_penalty", nullptr},
                                                   {"num_beams", 1},
                                                   {"guidance_scale", 1.0},
                                                   {"stop_strings", nullptr}};
  for (const auto& [key, neutral] : settings) {
    if (!generation.contains(key) || is_neutral(generation.at(key), neutral)) continue;
    log_warning_once(
        where, ": ", key, " (", generation.at(key).dump(),
        ") is not applied: texts are generated from the scores as they are, where transformers' generate bends them");
  }
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const auto file = folder / "config.json";
  ModelConfig config = parse_model_config(read_json(file), file.string());
  const auto generation = folder / "generation_config.json";
  if (!is_there(generation)) {
    warn_of_ignored(config.source, file.string());  // earlier versions kept these settings there
    return config;
  }
  const Json json = read_json(generation);
  if (!json.is_object()) throw BadData({generation.string(), "is no JSON object", "fetch it again"});
  warn_of_ignored(json, generation.string());
  const auto ends = read_tokens(ConfigFields(json, generation.string()), "eos_token_id", config.vocabulary);
  if (!ends.empty()) {
    config.end_tokens = ends;
    if (config.end_token < 0) config.end_token = ends.front();
  } else if (!config.end_tokens.empty()) {
    log_warning_once(generation.string(), ": names no end token, so that transformers' generate would not stop; ",
                     "config.json's is used");
  }
  return config;
}

}  // namespace cmc::checkpoint
