#include "pipeline/checkpoint/family.hpp"
#include "pipeline/checkpoint/quantisation.hpp"

namespace cmc::checkpoint {

// Gemma 3 from 4B up reads images, too; of texts it computes what its text_config describes, and is that model here.
// What the published text_configs leave out are transformers' defaults of Gemma3TextConfig.
static ModelConfig read(const ConfigFields& fields) {
  check_not_quantised(fields.json(), fields.where());
  Json text = {{"vocab_size", 262208},    {"hidden_size", 2304},      {"intermediate_size", 9216},
               {"num_hidden_layers", 26}, {"num_attention_heads", 8}, {"max_position_embeddings", 131072}};
  text.update(fields.object("text_config").json());
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings"})
    if (!text.contains(key) && fields.json().contains(key)) text[key] = fields.json().at(key);
  text["model_type"] = family::gemma3.model_type;
  text["architectures"] = {family::gemma3.architecture};
  ModelConfig config = family::gemma3.read(ConfigFields(text, fields.where() + ": text_config"));
  config.architecture = family::gemma3.architecture;
  config.model_type = family::gemma3.model_type;
  return config;
}

const Family family::gemma3_multimodal = {"gemma3", "Gemma3ForConditionalGeneration", read};

}  // namespace cmc::checkpoint
