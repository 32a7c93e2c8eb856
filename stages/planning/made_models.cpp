#include "stages/planning/made_models.hpp"

#include "pipeline/records/fields.hpp"

namespace cmc::stages {

records::SmallLlama made_llama(const sections::Sizes& sizes, Output output) {
  records::SmallLlama made;
  made.hidden_size = sizes.hidden;
  made.num_hidden_layers = sizes.layers;
  made.num_attention_heads = made.num_key_value_heads = sizes.heads;
  made.intermediate_size = sizes.intermediate;
  made.max_position_embeddings = sizes.max_positions;
  made.tie_word_embeddings = output == Output::embedding;
  return made;
}

checkpoint::ModelConfig config_of(const records::SmallLlama& made, const text::Tokenizer& tokenizer,
                                  const std::string& where) {
  Json config = records::to_json(made);
  config["vocab_size"] = tokenizer.size();
  config["bos_token_id"] = tokenizer.special().begin;
  config["eos_token_id"] = tokenizer.special().end;
  return checkpoint::parse_model_config(config, where);
}

}  // namespace cmc::stages
