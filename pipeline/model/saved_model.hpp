#pragma once
#include <filesystem>
#include <string>

#include "pipeline/model/trained_parts.hpp"

namespace cmc::model {

// As a safetensors file, published as a whole.
void write_tensors(const std::filesystem::path& file, const NamedTensors& tensors);

// What a folder holds of a model: a Hugging Face folder of all its weights, or a peft folder of its adapters.
struct SavedModel {
  std::string config_file, config;  // JSON text
  std::string weights_file;
  NamedTensors tensors;

  // Into `folder`, which must exist.
  void write(const std::filesystem::path& folder) const;
};

}  // namespace cmc::model
