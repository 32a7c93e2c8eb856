#pragma once
#include <torch/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace cmc::checkpoint {

// Writes tensors (on any device) in the order given; the same tensors give the same bytes. All or nothing.
// Throws CannotCreate or IoError.
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors);

}  // namespace cmc::checkpoint
