#pragma once
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipeline/checkpoint/safetensors_file.hpp"

namespace cmc::checkpoint {

// The weights of a Hugging Face folder: model.safetensors, or shards named by model.safetensors.index.json.
class WeightFiles {
 public:
  // Throws MissingInput (no weights, a missing shard), BadData (a malformed file or index) or Refused (only pickles).
  explicit WeightFiles(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return where_.count(name) != 0; }
  // A view in the stored type (see SafetensorsFile::view). Throws BadData when there is no such tensor.
  torch::Tensor view(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  void open_shards(const std::filesystem::path& folder, const std::filesystem::path& index);
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, size_t> where_;  // tensor → file
};

// The files that hold the weights, in a fixed order, without opening them. Throws as the constructor does.
std::vector<std::filesystem::path> weight_file_names(const std::filesystem::path& folder);

}  // namespace cmc::checkpoint
