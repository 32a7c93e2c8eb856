#pragma once
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipeline/checkpoint/tensor_file.hpp"

namespace cmc::checkpoint {

// The weights of a Hugging Face folder: the first that is there of model.safetensors, the shards named by
// model.safetensors.index.json, pytorch_model.bin, the shards named by pytorch_model.bin.index.json (the order of
// transformers). Shards are read whole, also for tensors that the index leaves out; of a tensor in two shards the later
// shard's is read, with a warning where they differ (as transformers does).
class WeightFiles {
 public:
  // Throws MissingInput (no weights, a missing shard), BadData (a malformed file or index, quantised weights) or
  // Refused (a pickle that asks for more than tensors).
  explicit WeightFiles(const std::filesystem::path& folder);

  bool contains(const std::string& name) const { return where_.count(name) != 0; }
  // A view in the stored type (see TensorFile::view). Throws BadData when there is no such tensor.
  torch::Tensor view(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  void open(const std::filesystem::path& file);
  void warn_if_different(const std::string& name, size_t earlier) const;
  void check_index(const std::filesystem::path& index) const;

  std::filesystem::path folder_;
  std::vector<TensorFile> files_;
  std::map<std::string, size_t> where_;  // tensor → file
};

// The files that hold the weights, in a fixed order and after their index, without opening them. Throws as the
// constructor does.
std::vector<std::filesystem::path> weight_file_names(const std::filesystem::path& folder);

}  // namespace cmc::checkpoint
