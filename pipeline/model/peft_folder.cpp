// Adapters as the Python library peft writes and reads them.
#include <algorithm>
#include <cmath>
#include <set>

#include "pipeline/checkpoint/tensor_file.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

namespace fs = std::filesystem;

// Whether a field says what it says for plain LoRA: absent, null, false, empty, or "none".
bool is_off(const Json& config, const char* field) {
  if (!config.contains(field)) return true;
  const Json& value = config.at(field);
  const bool is_list = value.is_array() || value.is_object();
  return value.is_null() || value == false || value == "none" || (is_list && value.empty());
}

// Fields of peft's LoraConfig that change nothing of what a saved adapter computes, or are read here. Any other must be
// off: later versions bring more.
void refuse_more_than_lora(const Json& config, const std::string& where) {
  static const std::set<std::string> known = {"peft_type",
                                              "peft_version",
                                              "auto_mapping",
                                              "base_model_name_or_path",
                                              "revision",
                                              "inference_mode",
                                              "task_type",
                                              "r",
                                              "lora_alpha",
                                              "lora_dropout",
                                              "target_modules",
                                              "exclude_modules",
                                              "layers_to_transform",
                                              "layers_pattern",
                                              "fan_in_fan_out",
                                              "use_rslora",
                                              "loftq_config",
                                              "eva_config",
                                              "corda_config",
                                              "lora_ga_config",
                                              "runtime_config",
                                              "qalora_group_size",
                                              "ensure_weight_tying",
                                              "megatron_core"};
  const auto refuse = [&](const std::string& field) {
    throw Refused({where + ": " + field, "is " + config.at(field).dump() + ", more than plain LoRA",
                   "merge the adapter into its model with peft, and give that"});
  };
  for (const auto& [field, value] : config.items())
    if (field != "init_lora_weights" && !known.contains(field) && !is_off(config, field.c_str())) refuse(field);
  // Others than these change the base model where the adapter is loaded.
  static const std::set<Json> of_adapters_alone = {true, false, nullptr, "gaussian", "eva", "orthogonal"};
  if (config.contains("init_lora_weights") && !of_adapters_alone.contains(config.at("init_lora_weights")))
    refuse("init_lora_weights");
}

LoraSettings read_settings(const fs::path& file) {
  const Json config = read_json(file);
  const std::string where = file.string();
  if (json_field<std::string>(config, "peft_type", where) != "LORA") {
    throw Refused({where + ": peft_type", "is not LORA", "merge the adapter into its model with peft, and give that"});
  }
  refuse_more_than_lora(config, where);
  LoraSettings settings;
  settings.rank = json_field_or<int64_t>(config, "r", 8, where);
  settings.alpha = json_field_or<double>(config, "lora_alpha", 8, where);
  settings.dropout = json_field_or<double>(config, "lora_dropout", 0.0, where);
  if (settings.rank <= 0) throw_bad_field(where, "r", "is not positive");
  if (!(settings.dropout >= 0 && settings.dropout < 1)) {
    throw_bad_field(where, "lora_dropout", "is no probability below 1");
  }
  // Rank-stabilised: updates count alpha / sqrt(rank) (Kalajdzievski 2023).
  if (!is_off(config, "use_rslora")) settings.alpha *= std::sqrt(static_cast<double>(settings.rank));
  return settings;
}

torch::Tensor read_matrix(const checkpoint::TensorFile& file, const std::string& where, const std::string& name,
                          const Slices& rows, const Slices& columns, torch::Device device) {
  const torch::Tensor stored = file.view(name);
  if (!stored.is_floating_point() || stored.sizes() != torch::IntArrayRef({rows.whole, columns.whole})) {
    throw BadData({where + ": " + name, "does not have the type and shape that rank and layer ask for",
                   "the adapter belongs to another model"});
  }
  torch::Tensor held = torch::empty({rows.count(), columns.count()}, torch::kFloat32);
  copy_slices(stored, rows, columns, held);
  return held.to(device);
}

// adapter_model.safetensors, or where there is none adapter_model.bin, as peft does.
fs::path weights_file(const fs::path& folder) {
  const bool pickle = !is_there(folder / peft_weights_file) && is_there(folder / "adapter_model.bin");
  return folder / (pickle ? "adapter_model.bin" : peft_weights_file);
}

}  // namespace

ModelWeights with_saved_adapters(const ModelWeights& base, const fs::path& folder) {
  const c10::InferenceMode ordinary(false);
  const torch::NoGradGuard no_gradients;
  ModelWeights weights = base;
  weights.lora = read_settings(folder / peft_config_file);
  weights.lora->targets.clear();
  weights.named_adapters.clear();
  weights.adapter_plans.clear();
  const fs::path path = weights_file(folder);
  const checkpoint::TensorFile file(path);
  std::set<std::string> left;
  for (const auto& [name, stored] : file.tensors()) left.insert(name);
  std::set<std::string> targets;
  for (Linear* block : linear_blocks(weights)) {
    block->adapters.clear();
    for (size_t i = 0; i < block->modules.size(); ++i) {
      const std::string module = block->modules[i], name = "base_model.model." + module;
      const std::string a = name + ".lora_A.weight", b = name + ".lora_B.weight";
      // Which layers have adapters is read from the tensors: target_modules may be a pattern, or leave layers out.
      if (!left.contains(a) && !left.contains(b)) continue;
      const torch::Device device = block->weights[i].device();
      const Slices rank = all_of(weights.lora->rank);
      const torch::Tensor down = read_matrix(file, path.string(), a, rank, block->columns, device);
      const torch::Tensor up = read_matrix(file, path.string(), b, block->rows[i], rank, device);
      add_adapter(weights, *block, i, down, up);
      targets.insert(module.substr(module.rfind('.') + 1));
      left.erase(a);
      left.erase(b);
    }
  }
  if (!left.empty() || targets.empty()) {
    const std::string fault =
        left.empty() ? "holds no adapters" : "holds " + *left.begin() + ", no adapter of a linear layer of this model";
    throw BadData({path.string(), fault, "give the adapter's own base model"});
  }
  weights.lora->targets.assign(targets.begin(), targets.end());
  return weights;
}

namespace {

bool are_transposed(const ModelWeights& base) {
  ModelWeights weights = base;
  for (const Linear* block : linear_blocks(weights)) {
    if (!block->adapters.empty() && block->transposed) return true;
  }
  return false;
}

}  // namespace

Json peft_config(const ModelWeights& weights) {
  expect(weights.lora.has_value(), "a model has adapters to save");
  const LoraSettings& lora = *weights.lora;
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", nullptr},
          {"inference_mode", true},
          {"r", lora.rank},
          {"lora_alpha", lora.alpha},
          {"lora_dropout", lora.dropout},
          {"target_modules", lora.targets},
          {"bias", "none"},
          // peft's word for matrices that are stored the other way round (GPT-2)
          {"fan_in_fan_out", are_transposed(weights)},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr},
          {"rank_pattern", Json::object()},
          {"alpha_pattern", Json::object()},
          {"use_dora", false},
          {"use_rslora", false}};
}

}  // namespace cmc::model
