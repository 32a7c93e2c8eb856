#include "pipeline/checkpoint/weight_files.hpp"

#include <set>

#include "pipeline/checkpoint/missing_weights.hpp"
#include "pipeline/checkpoint/quantisation.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr const char* save_again = "fetch or save the model again";

// tensor → shard file name, each a plain name inside the folder.
std::map<std::string, std::string> read_index(const fs::path& index) {
  const Json json = read_json(index);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
    throw BadData({index.string(), "has no weight_map", save_again});
  std::map<std::string, std::string> result;
  for (const auto& [tensor, file] : json.at("weight_map").items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    const fs::path path(name);
    bool plain = !name.empty() && path.is_relative() && name.find('\\') == std::string::npos;
    for (const auto& part : path) plain = plain && part != "..";
    if (!plain) {
      throw BadData({index.string() + ": weight_map", "sends " + tensor + " outside the folder (" + file.dump() + ")",
                     "shards must be plain file names"});
    }
    result[tensor] = name;
  }
  if (result.empty()) throw BadData({index.string() + ": weight_map", "is empty", save_again});
  return result;
}

bool is_index(const fs::path& file) {
  return file.extension() == ".json";
}

// transformers adds an adapter that lies beside a model's weights.
void refuse_adapter(const fs::path& folder) {
  const fs::path config = folder / "adapter_config.json";
  if (is_there(config))
    throw Refused({config.string(), "is an adapter's, beside a whole model",
                   "merge it into the model with peft, or take the file away to have the model without it"});
}

}  // namespace

std::vector<fs::path> weight_file_names(const fs::path& folder) {
  for (const char* single : {"model.safetensors", "pytorch_model.bin"}) {
    if (is_there(folder / single)) return refuse_adapter(folder), std::vector{folder / single};
    const fs::path index = folder / (std::string(single) + ".index.json");
    if (!is_there(index)) continue;
    refuse_adapter(folder);
    std::set<std::string> shards;
    for (const auto& [tensor, file] : read_index(index)) shards.insert(file);
    std::vector<fs::path> files = {index};
    for (const std::string& shard : shards) {
      if (!is_there(folder / shard)) {
        throw MissingInput({(folder / shard).string(),
                            "does not exist (a shard named by " + index.filename().string() + ")",
                            "fetch the missing shard"});
      }
      files.push_back(folder / shard);
    }
    return files;
  }
  throw_without_weights(folder);
}

WeightFiles::WeightFiles(const fs::path& folder) : folder_(folder) {
  const std::vector<fs::path> names = weight_file_names(folder);
  for (const fs::path& file : names)
    if (!is_index(file)) open(file);
  if (is_index(names.front())) check_index(names.front());
}

void WeightFiles::open(const fs::path& file) {
  files_.emplace_back(file);
  const TensorFile& opened = files_.back();
  check_not_quantised(opened.tensors(), opened.name());
  for (const auto& [name, tensor] : opened.tensors()) {
    const auto [place, is_new] = where_.emplace(name, files_.size() - 1);
    if (is_new) continue;
    const size_t earlier = place->second;
    place->second = files_.size() - 1;
    warn_if_different(name, earlier);
  }
}

void WeightFiles::warn_if_different(const std::string& name, size_t earlier) const {
  const TensorFile &first = files_[earlier], &last = files_.back();
  const torch::Tensor a = first.view(name), b = last.view(name);
  if (a.dtype() == b.dtype() && a.sizes() == b.sizes() && torch::equal(a, b)) return;
  log_warning(last.name(), ": ", name, " differs from the tensor of that name in ", first.name(),
              "; the one here is used, as transformers does");
}

void WeightFiles::check_index(const fs::path& index) const {
  for (const auto& [tensor, file] : read_index(index)) {
    if (contains(tensor)) continue;
    throw BadData(
        {(folder_ / file).string(), "holds no tensor " + tensor, index.filename().string() + " says it does"});
  }
}

torch::Tensor WeightFiles::view(const std::string& name) const {
  const auto found = where_.find(name);
  if (found == where_.end())
    throw BadData({folder_.string(), "holds no tensor " + name, "its weights do not fit its config.json"});
  return files_[found->second].view(name);
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> result;
  for (const auto& [name, file] : where_) result.push_back(name);
  return result;
}

}  // namespace cmc::checkpoint
