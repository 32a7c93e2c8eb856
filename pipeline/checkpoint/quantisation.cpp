#include "pipeline/checkpoint/quantisation.hpp"

#include <algorithm>
#include <array>

#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

namespace {

constexpr const char* give_original = "give the model that it was made from";

// How transformers 5 gives back plain weights. Methods that have no row are one-way: the model before is needed.
struct Remedy {
  std::string_view method;
  const char* what;
};
constexpr std::array<Remedy, 7> remedies = {{
    {"bitsandbytes", "load it with transformers on a GPU, call model.dequantize(), and save_pretrained that"},
    {"compressed-tensors",
     "from_pretrained(…, quantization_config=CompressedTensorsConfig(dequantize=True)), then save_pretrained"},
    {"fp8", "from_pretrained(…, quantization_config=FineGrainedFP8Config(dequantize=True)), then save_pretrained"},
    {"mxfp8", "from_pretrained(…, quantization_config=FineGrainedFP8Config(dequantize=True)), then save_pretrained"},
    {"mxfp4",
     "from_pretrained(…, quantization_config=Mxfp4Config(dequantize=True), dtype=torch.bfloat16), then "
     "save_pretrained"},
    {"metal", "from_pretrained(…, quantization_config=MetalConfig(dequantize=True)), then save_pretrained"},
    {"gguf", "jobs/import_gguf.py makes a de-quantised folder of the GGUF file"},
}};

// "load_in_4bit": true and such, of bitsandbytes.
bool is_on(const Json& config, const char* key) {
  return config.is_object() && config.contains(key) && config.at(key) == true;
}

std::string method_of(const Json& config) {
  const bool four = is_on(config, "load_in_4bit") || is_on(config, "_load_in_4bit");
  const bool eight = is_on(config, "load_in_8bit") || is_on(config, "_load_in_8bit");
  if (config.is_object() && config.contains("quant_method") && config.at("quant_method").is_string())
    return config.at("quant_method").get<std::string>().substr(0, 40) + (four ? ", 4 bits" : eight ? ", 8 bits" : "");
  if (four || eight) return four ? "bitsandbytes, 4 bits" : "bitsandbytes, 8 bits";
  // Older files of AutoGPTQ and AutoAWQ name their method by its settings alone.
  if (config.is_object() && (config.contains("desc_act") || config.contains("damp_percent"))) return "gptq";
  if (config.is_object() && (config.contains("zero_point") || config.contains("w_bit"))) return "awq";
  return "";
}

std::string remedy_of(const std::string& method) {
  for (const Remedy& remedy : remedies) {
    if (method == remedy.method || method.starts_with(std::string(remedy.method) + ","))
      return std::string(give_original) + ", or " + remedy.what;
  }
  return std::string(give_original) + ": from this one its weights cannot be had back";
}

// Parts that the methods store beside or instead of weights.
struct Mark {
  std::string_view end;  // of a tensor's name
  const char* method;
};
constexpr std::array<Mark, 15> marks = {{{".qweight", "gptq or awq"},
                                         {".weight_packed", "compressed-tensors"},
                                         {".weight_scale_inv", "fp8"},
                                         {".weight_scale", "fp8 or compressed-tensors"},
                                         {".SCB", "bitsandbytes, 8 bits"},
                                         {".weight.absmax", "bitsandbytes, 4 bits"},
                                         {".weight.quant_map", "bitsandbytes, 4 bits"},
                                         {"_proj_blocks", "mxfp4"},
                                         {".codebooks", "aqlm"},
                                         {".W_q", "hqq"},
                                         {".Qidxs", "quip"},
                                         {".weight._data", "quanto"},
                                         {".q_perm", "exl2"},
                                         {".q_weight", "exl2"},
                                         {".centroids.weight", "vptq"}}};

bool is_float(StoredType type) {
  return type == StoredType::f64 || type == StoredType::f32 || type == StoredType::f16 || type == StoredType::bf16;
}

}  // namespace

void check_not_quantised(const Json& config, const std::string& where) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (!config.is_object() || !config.contains(key) || config.at(key).is_null()) continue;
    const Json& settings = config.at(key);
    if (settings.is_object() && settings.empty()) continue;
    const std::string method = method_of(settings);
    throw BadData({where + ": " + key,
                   "says that the weights are quantised (" + (method.empty() ? "by no known method" : method) + ")",
                   remedy_of(method)});
  }
}

void check_not_quantised(const StoredTensors& tensors, const std::string& where) {
  for (const auto& [name, tensor] : tensors) {
    for (const Mark& mark : marks) {
      if (!name.ends_with(mark.end)) continue;
      throw BadData({where + ": " + name, std::string("is a part of quantised weights (") + mark.method + ")",
                     std::string(give_original) + ", or save it de-quantised in bfloat16"});
    }
    if (!name.ends_with(".weight") || tensor.shape.size() < 2 || is_float(tensor.type)) continue;
    throw BadData({where + ": " + name,
                   std::string("holds whole numbers (") + stored_name(tensor.type) + "): it is quantised",
                   std::string(give_original) + ", or save it de-quantised in bfloat16"});
  }
}

}  // namespace cmc::checkpoint
