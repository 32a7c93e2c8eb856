#include "pipeline/checkpoint/missing_weights.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::checkpoint {

namespace fs = std::filesystem;

namespace {

struct Kind {
  const char* pattern;  // of a file's name, whole
  const char* what;
  const char* remedy;
};

constexpr const char* fetch_shards = "fetch the folder again: jobs/fetch.sh models NAME";
constexpr const char* fetch_other =
    "fetch the model's safetensors files, or load it with transformers and save it with save_pretrained";

// The first that fits any file of the folder is told.
constexpr std::array<Kind, 15> kinds = {{
    {R"(.*\.(incomplete|part|partial|crdownload|aria2|tmp))", "is a download that did not finish",
     "fetch it again: jobs/fetch.sh models NAME goes on where it stopped"},
    {R"((model|pytorch_model)-\d+-of-\d+\.(safetensors|bin))", "is a shard without the index that names it",
     "fetch model.safetensors.index.json or pytorch_model.bin.index.json as well"},
    {R"((model|pytorch_model)\.([^.]+)\.(safetensors|bin)|(model|pytorch_model)\.([^.]+)-\d+-of-\d+\.(safetensors|bin))",
     "is a variant of the weights, and the plain ones are not there",
     "fetch the plain ones, or rename this one (and its index) to the name without the variant"},
    {R"((model\.safetensors|pytorch_model\.bin)\.index\.([^.]+)\.json)",
     "is the index of a variant of the weights, and the plain ones are not there", "fetch the plain ones"},
    {R"(consolidated.*\.(safetensors|pth))", "holds the weights in the authors' own format, under other names",
     "fetch the model in Hugging Face's format (model.safetensors), or convert it with transformers' "
     "convert_*_weights_to_hf.py"},
    {R"(.*\.gguf)", "is a GGUF file", "turn it into a model folder: jobs/import_gguf.py FOLDER FILE.gguf"},
    {R"(adapter_model\.(safetensors|bin))", "is an adapter, not a model",
     "give the folder of its base model here, and this one as the adapter"},
    {R"(.*\.h5)", "holds weights for TensorFlow", fetch_other},
    {R"(.*\.msgpack)", "holds weights for Flax", fetch_other},
    {R"(.*\.onnx(_data)?)", "is an ONNX program", fetch_other},
    {R"(.*\.ot)", "holds weights for Rust", fetch_other},
    {R"(.*\.(tflite|mlmodel|xml|engine|llamafile|nemo|ggml|npz))", "holds the model for another library", fetch_other},
    {R"(.*\.safetensors)", "is a safetensors file under another name than model.safetensors",
     "rename it to model.safetensors if it is the whole model"},
    {R"(.*\.(bin|pt|pth|ckpt))", "may hold weights, but under another name than pytorch_model.bin",
     "rename it to pytorch_model.bin if it is the state dict of the whole model"},
    {R"(.*\.index\.json)", "is an index without the weights that it names", fetch_shards},
}};

// Training scripts keep files that are no weights under such names.
bool is_no_weights(const std::string& name) {
  for (const char* other : {"training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state.pth",
                            "random_states_0.pkl", "scaler.pt"}) {
    if (name == other) return true;
  }
  return false;
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code problem;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem))
    entries.push_back(*at);
  if (problem) throw IoError({folder.string(), "cannot be read: " + problem.message(), "check its permissions"});
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool holds_weights(const fs::path& folder) {
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    std::error_code ignored;
    if (fs::exists(folder / name, ignored)) return true;
  }
  return false;
}

// The folder above the one that is meant: of a cache of the hub (snapshots/REVISION), of training (checkpoint-100).
void throw_if_below(const fs::path& folder, const std::vector<fs::directory_entry>& entries) {
  for (const fs::directory_entry& entry : entries) {
    if (!entry.is_directory()) continue;
    std::vector<fs::path> below = {entry.path()};
    if (entry.path().filename() == "snapshots")
      for (const fs::directory_entry& revision : entries_of(entry.path())) below.push_back(revision.path());
    for (const fs::path& inside : below) {
      if (holds_weights(inside))
        throw MissingInput(
            {folder.string(), "holds no weights itself", "give the folder inside it: " + inside.string()});
    }
  }
}

}  // namespace

void throw_without_weights(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw MissingInput({folder.string(), "is no folder", "give a Hugging Face model folder"});
  const std::vector<fs::directory_entry> entries = entries_of(folder);
  for (const fs::directory_entry& entry : entries) {
    if (!entry.is_symlink() || entry.exists()) continue;
    throw MissingInput({entry.path().string(), "is a link to a file that does not exist (an incomplete cache?)",
                        "fetch the model again: jobs/fetch.sh models NAME"});
  }
  for (const Kind& kind : kinds) {
    const std::regex pattern(kind.pattern);
    for (const fs::directory_entry& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (entry.is_directory() || name.size() > 255 || is_no_weights(name) || !std::regex_match(name, pattern))
        continue;
      throw MissingInput({replace_invalid_utf8(entry.path().string()), kind.what, kind.remedy});
    }
  }
  throw_if_below(folder, entries);
  throw MissingInput({(folder / "model.safetensors").string(), "does not exist", "the folder holds no weights"});
}

}  // namespace cmc::checkpoint
