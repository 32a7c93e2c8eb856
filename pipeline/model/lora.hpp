#pragma once
#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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

// Values shaped like `named_adapters`, with the rows and columns in the order of the stored layers.
std::vector<std::pair<std::string, torch::Tensor>> adapters_as_stored(const ModelWeights& weights,
                                                                      const std::vector<torch::Tensor>& values);

// Writes the adapters as a peft folder, which must exist.
void save_adapters(const ModelWeights& weights, const std::filesystem::path& folder);

// Puts the values of a folder that save_adapters() wrote back. Throws BadData when it is another model's.
void restore_adapters(ModelWeights& weights, const std::filesystem::path& folder);

// Puts an adapter (a [rank, inputs], b [outputs, rank]) beside layer `i` of a block, under peft's names and with the
// scale and dropout of `weights.lora`.
void add_adapter(ModelWeights& weights, Linear& block, size_t i, torch::Tensor a, torch::Tensor b);

// Adds what the adapters amount to to the weights themselves, in place, and takes the adapters off.
void merge_adapters(ModelWeights& weights);

}  // namespace cmc::model
