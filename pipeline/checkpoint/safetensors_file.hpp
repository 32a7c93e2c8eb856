#pragma once
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/checkpoint/safetensors_header.hpp"

namespace cmc::checkpoint {

// A safetensors file, memory-mapped: opening reads the header only.
class SafetensorsFile {
 public:
  // Throws MissingInput, IoError or BadData naming the file.
  explicit SafetensorsFile(const std::filesystem::path& file);

  const SafetensorsHeader& header() const { return header_; }
  // A view of the mapped bytes in the stored type; it keeps the mapping alive. Copy before writing to it.
  // Throws BadData when there is no tensor of that name.
  torch::Tensor view(const std::string& name) const;

 private:
  std::string name_;
  std::shared_ptr<const void> mapping_;
  SafetensorsHeader header_;
};

torch::Dtype torch_type(StoredType type);

// Writes tensors (on any device) in the order given; the same tensors give the same bytes. All or nothing.
// Throws CannotCreate or IoError.
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors);

}  // namespace cmc::checkpoint
