#pragma once
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "pipeline/checkpoint/stored_tensor.hpp"

namespace cmc::checkpoint {

// A file of tensors, memory-mapped: opening reads where they lie, not their numbers. A name that ends in .safetensors
// is read as such, any other as a file of torch.save, as transformers does.
class TensorFile {
 public:
  // Throws MissingInput, IoError, BadData or Refused (a pickle that asks for more than tensors), naming the file.
  explicit TensorFile(const std::filesystem::path& file);

  const std::string& name() const { return name_; }
  const StoredTensors& tensors() const { return tensors_; }
  // The tensor in its stored type, contiguous: a view of the mapped bytes, which it keeps alive, or a copy where they
  // lie unaligned or strided. Copy before writing to it. Throws BadData when there is no tensor of that name.
  torch::Tensor view(const std::string& name) const;

 private:
  std::string name_;
  std::shared_ptr<const void> mapping_;
  StoredTensors tensors_;
};

torch::Dtype torch_type(StoredType type);

}  // namespace cmc::checkpoint
