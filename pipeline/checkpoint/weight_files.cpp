#include "pipeline/checkpoint/weight_files.hpp"

#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

[[noreturn]] void throw_without_weights(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw MissingInput({folder.string(), "is no folder", "give a Hugging Face model folder"});
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!fs::exists(folder / pickle)) continue;
    throw Refused({(folder / pickle).string(), "is a pickle, which can run code when it is read",
                   "convert it where you trust it: python3 -c \"from transformers import AutoModelForCausalLM as A; "
                   "A.from_pretrained('" +
                       folder.string() + "').save_pretrained('" + folder.string() + "')\""});
  }
  throw MissingInput({(folder / single_name).string(), "does not exist", "the folder holds no weights"});
}

// tensor → shard file name, each a plain name inside the folder.
std::map<std::string, std::string> read_index(const fs::path& index) {
  const Json json = read_json(index);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object()) {
    throw BadData({index.string(), "has no weight_map", "fetch or save the model again"});
  }
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
  if (result.empty()) throw BadData({index.string() + ": weight_map", "is empty", "fetch or save the model again"});
  return result;
}

}  // namespace

std::vector<fs::path> weight_file_names(const fs::path& folder) {
  if (fs::exists(folder / single_name)) return {folder / single_name};
  if (!fs::exists(folder / index_name)) throw_without_weights(folder);
  std::set<std::string> shards;
  for (const auto& [tensor, file] : read_index(folder / index_name)) shards.insert(file);
  std::vector<fs::path> files = {folder / index_name};
  for (const std::string& shard : shards) files.push_back(folder / shard);
  return files;
}

WeightFiles::WeightFiles(const fs::path& folder) : folder_(folder) {
  if (!fs::exists(folder / single_name)) {
    if (!fs::exists(folder / index_name)) throw_without_weights(folder);
    open_shards(folder, folder / index_name);
    return;
  }
  files_.emplace_back(folder / single_name);
  for (const auto& [name, tensor] : files_.back().header().tensors) where_[name] = 0;
}

void WeightFiles::open_shards(const fs::path& folder, const fs::path& index) {
  const auto map = read_index(index);
  std::map<std::string, size_t> opened;
  for (const auto& [tensor, file] : map) {
    if (opened.count(file) == 0) {
      if (!fs::exists(folder / file)) {
        throw MissingInput({(folder / file).string(),
                            "does not exist (a shard named by " + index.filename().string() + ")",
                            "fetch the missing shard"});
      }
      opened[file] = files_.size();
      files_.emplace_back(folder / file);
    }
    if (files_[opened[file]].header().tensors.count(tensor) == 0) {
      throw BadData(
          {(folder / file).string(), "holds no tensor " + tensor, index.filename().string() + " says it does"});
    }
    where_[tensor] = opened[file];
  }
}

torch::Tensor WeightFiles::view(const std::string& name) const {
  const auto found = where_.find(name);
  if (found == where_.end()) {
    throw BadData({folder_.string(), "holds no tensor " + name, "its weights do not fit its config.json"});
  }
  return files_[found->second].view(name);
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> result;
  for (const auto& [name, file] : where_) result.push_back(name);
  return result;
}

}  // namespace cmc::checkpoint
