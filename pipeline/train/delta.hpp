#pragma once
#include <torch/types.h>

#include <cstdint>
#include <filesystem>

#include "pipeline/core/json.hpp"
#include "pipeline/model/decoder_model.hpp"

namespace cmc::train {

// A small Llama for `hidden` and `layers`: config.json keys of LlamaForCausalLM, tied output. Heads of 16 to 64
// dimensions; MLP 8/3 of hidden, rounded up to a multiple of 32.
Json llama_delta_config(int64_t vocabulary, int64_t hidden, int64_t layers);

// A random delta from config.json keys. `config` may leave out vocab_size and the begin/end/padding token ids, which
// are then the template's. Throws BadData when its vocabulary is another.
model::DecoderModel create_delta(Json config, const model::DecoderModel& template_model, uint64_t seed,
                                 torch::Device device);

// A trained delta to start from. Throws BadData when its vocabulary is not the template's.
model::DecoderModel load_delta(const std::filesystem::path& folder, const model::DecoderModel& template_model,
                               torch::Device device);

// Publishes a Hugging Face folder that transformers loads: config, safetensors, and the tokenizer files of
// `tokenizer_folder`. Collective over the ranks that hold the model together; the first one writes.
void save_model(const model::DecoderModel& model, const std::filesystem::path& tokenizer_folder,
                const std::filesystem::path& folder);

}  // namespace cmc::train
