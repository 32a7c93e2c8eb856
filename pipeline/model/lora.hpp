#pragma once
#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/model/lora_settings.hpp"

namespace cmc::model {

struct Linear;
struct ModelWeights;

// The weights with new adapters: A uniform in ±1/sqrt(inputs) (Kaiming uniform with slope sqrt(5)) and B zero, as peft
// begins, reproducible by seed on any machine. All but the adapters is shared with `base`. Throws BadExperiment naming
// the setting that is out of range or the target that is no layer of the model.
ModelWeights with_new_adapters(const ModelWeights& base, const LoraSettings& settings, uint64_t seed);

// The weights with the adapters of a peft folder (adapter_config.json, adapter_model.safetensors). Throws MissingInput;
// BadData naming what does not fit the model; Refused for kinds of adapters that are more than W x + scale · B A x.
ModelWeights with_saved_adapters(const ModelWeights& base, const std::filesystem::path& folder);

// `base` with copies of another's adapters; all but the adapters is shared with `base`.
ModelWeights with_adapters_of(const ModelWeights& base, const ModelWeights& other);

// What a peft folder says beside the tensors: adapter_config.json.
Json peft_config(const ModelWeights& weights);
inline constexpr const char* peft_config_file = "adapter_config.json";
inline constexpr const char* peft_weights_file = "adapter_model.safetensors";

// Puts an adapter (a [rank, inputs], b [outputs, rank]) beside layer `i` of a block, under peft's names and with the
// scale and dropout of `weights.lora`.
void add_adapter(ModelWeights& weights, Linear& block, size_t i, torch::Tensor a, torch::Tensor b);

// Adds what the adapters amount to to the weights themselves, in place, and takes the adapters off.
void merge_adapters(ModelWeights& weights);

}  // namespace cmc::model
