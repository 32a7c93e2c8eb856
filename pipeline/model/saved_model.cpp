#include "pipeline/model/saved_model.hpp"

#include "pipeline/checkpoint/safetensors_writer.hpp"
#include "pipeline/core/files.hpp"

namespace cmc::model {

void write_tensors(const std::filesystem::path& file, const NamedTensors& tensors) {
  checkpoint::write_safetensors(file, tensors);
}

void SavedModel::write(const std::filesystem::path& folder) const {
  publish_file(folder / config_file, config);
  write_tensors(folder / weights_file, tensors);
}

}  // namespace cmc::model
