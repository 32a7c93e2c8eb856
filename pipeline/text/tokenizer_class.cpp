#include "pipeline/text/tokenizer_class.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

using Names = std::set<std::string>;

// transformers' TOKENIZER_MAPPING_NAMES, the model types that write text: the class it registers for each. A type that
// stands in none of these has none.
const std::map<TokenizerClass, Names>& registered_types() {
  static const std::map<TokenizerClass, Names> types = {
      {TokenizerClass::backend, {"arctic",        "aria",
                                 "beam",          "chatlm",
                                 "ernie4_5",      "ernie4_5_moe",
                                 "flex_olmo",     "fuyu",
                                 "glm",           "glm4",
                                 "glm4_moe",      "glm4_moe_lite",
                                 "glm4v",         "glm4v_moe",
                                 "got_ocr2",      "gpt_bigcode",
                                 "granite",       "granitemoe",
                                 "h2ovl_chat",    "hyperclovax",
                                 "internlm2",     "granitemoehybrid",
                                 "internlm3",     "granitemoeshared",
                                 "iquestcoder",   "jamba",
                                 "kimi_k25",      "kimi_linear",
                                 "llava",         "llava_next",
                                 "mimo_v2_flash", "minicpm3",
                                 "minicpmv",      "minimax_m2",
                                 "ministral",     "ministral3",
                                 "mistral",       "mistral3",
                                 "mixtral",       "mistral_large4",
                                 "modernbert",    "modernbert-decoder",
                                 "molmo",         "molmo2",
                                 "nemotron",      "olmo2",
                                 "olmo3",         "olmo_hybrid",
                                 "opencua",       "openvla",
                                 "persimmon",     "phi3",
                                 "phi3_v",        "phimoe",
                                 "pixtral",       "smolvlm",
                                 "stablelm",      "step3_vl",
                                 "vipllava",      "voxtral"}},
      {TokenizerClass::llama, {"idefics", "idefics2"}},
      {TokenizerClass::code_llama, {"code_llama"}},
      {TokenizerClass::gemma,
       {"gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "diffusion_gemma", "recurrent_gemma",
        "shieldgemma2", "t5gemma", "zaya"}},
      {TokenizerClass::gpt2,
       {"codegen", "dbrx", "emu3", "gpt2", "gpt_neo", "gptj", "hyperclovax_vision_v2", "jais2", "opt", "phi",
        "starcoder2"}},
      {TokenizerClass::gpt_neox,
       {"falcon_mamba", "gpt_neox", "mamba", "mamba2", "mpt", "olmo", "olmoe", "rwkv", "xlstm"}},
      {TokenizerClass::qwen2,
       {"qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe", "qwen3_next", "qwen3_vl", "qwen3_vl_moe",
        "internvl", "ovis2", "hunyuan_vl"}},
      {TokenizerClass::qwen3_5, {"qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen4_exp"}},
      {TokenizerClass::cohere, {"aya_vision", "cohere", "cohere2"}}};
  return types;
}

// Types whose checkpoints name a wrong class: what is registered counts (MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS).
const Names& misnamed_types() {
  static const Names types = {"arctic",       "chatlm",      "ernie4_5",
                              "ernie4_5_moe", "fuyu",        "h2ovl_chat",
                              "hyperclovax",  "internlm2",   "hyperclovax_vision_v2",
                              "internlm3",    "iquestcoder", "jamba",
                              "llava",        "llava_next",  "minicpm3",
                              "minicpmv",     "minimax_m2",  "modernbert",
                              "molmo",        "molmo2",      "modernbert-decoder",
                              "nemotron",     "opencua",     "openvla",
                              "phi3",         "phi3_v",      "phimoe",
                              "qwen2",        "qwen3_5",     "qwen3_5_moe",
                              "qwen4_exp",    "smolvlm",     "qwen3_5_moe_text",
                              "step3_vl",     "vipllava"};
  return types;
}

const std::map<std::string, TokenizerClass>& known_classes() {
  static const std::map<std::string, TokenizerClass> classes = {{"LlamaTokenizer", TokenizerClass::llama},
                                                                {"Phi3Tokenizer", TokenizerClass::llama},
                                                                {"CodeLlamaTokenizer", TokenizerClass::code_llama},
                                                                {"GemmaTokenizer", TokenizerClass::gemma},
                                                                {"GPT2Tokenizer", TokenizerClass::gpt2},
                                                                {"CodeGenTokenizer", TokenizerClass::code_gen},
                                                                {"GPTNeoXTokenizer", TokenizerClass::gpt_neox},
                                                                {"Qwen2Tokenizer", TokenizerClass::qwen2},
                                                                {"Qwen3_5Tokenizer", TokenizerClass::qwen3_5},
                                                                {"CohereTokenizer", TokenizerClass::cohere}};
  return classes;
}

// Classes that build a tokenizer in their own way, of models that are no decoders or that have no fast tokenizer. Any
// other name is read as its tokenizer.json says, as transformers does with a name it does not know.
const Names& refused_classes() {
  static const Names names = {"AlbertTokenizer",
                              "BartTokenizer",
                              "BarthezTokenizer",
                              "BartphoTokenizer",
                              "BertGenerationTokenizer",
                              "BertJapaneseTokenizer",
                              "BertTokenizer",
                              "BertTokenizerLegacy",
                              "BertweetTokenizer",
                              "BigBirdTokenizer",
                              "BioGptTokenizer",
                              "BlenderbotSmallTokenizer",
                              "BlenderbotTokenizer",
                              "ByT5Tokenizer",
                              "CLIPTokenizer",
                              "CTRLTokenizer",
                              "CamembertTokenizer",
                              "CanineTokenizer",
                              "ClvpTokenizer",
                              "CpmAntTokenizer",
                              "CpmTokenizer",
                              "DPRContextEncoderTokenizer",
                              "DPRQuestionEncoderTokenizer",
                              "DPRReaderTokenizer",
                              "DebertaTokenizer",
                              "DebertaV2Tokenizer",
                              "DiaTokenizer",
                              "DistilBertTokenizer",
                              "EsmTokenizer",
                              "EsmcTokenizer",
                              "FNetTokenizer",
                              "FSMTTokenizer",
                              "FastSpeech2ConformerTokenizer",
                              "FlaubertTokenizer",
                              "FunnelTokenizer",
                              "GPTNeoXJapaneseTokenizer",
                              "GPTSw3Tokenizer",
                              "HerbertTokenizer",
                              "LasrTokenizer",
                              "LayoutLMv2Tokenizer",
                              "LayoutLMv3Tokenizer",
                              "LayoutXLMTokenizer",
                              "LukeTokenizer",
                              "M2M100Tokenizer",
                              "MBart50Tokenizer",
                              "MBartTokenizer",
                              "MLukeTokenizer",
                              "MPNetTokenizer",
                              "MarianTokenizer",
                              "MarkupLMTokenizer",
                              "MgpstrTokenizer",
                              "MobileBertTokenizer",
                              "MyT5Tokenizer",
                              "NllbTokenizer",
                              "NougatTokenizer",
                              "OpenAIGPTTokenizer",
                              "PLBartTokenizer",
                              "PegasusTokenizer",
                              "PerceiverTokenizer",
                              "PhobertTokenizer",
                              "ProphetNetTokenizer",
                              "RagTokenizer",
                              "ReformerTokenizer",
                              "RemBertTokenizer",
                              "RoCBertTokenizer",
                              "RoFormerTokenizer",
                              "RobertaTokenizer",
                              "SeamlessM4TTokenizer",
                              "Siglip2Tokenizer",
                              "SiglipTokenizer",
                              "Speech2TextTokenizer",
                              "SpeechT5Tokenizer",
                              "SplinterTokenizer",
                              "SqueezeBertTokenizer",
                              "T5Tokenizer",
                              "TapasTokenizer",
                              "Tipsv2Tokenizer",
                              "UdopTokenizer",
                              "VideoPrismTokenizer",
                              "VitsTokenizer",
                              "Wav2Vec2CTCTokenizer",
                              "Wav2Vec2PhonemeCTCTokenizer",
                              "WhisperTokenizer",
                              "XGLMTokenizer",
                              "XLMRobertaTokenizer",
                              "XLMTokenizer",
                              "XLNetTokenizer"};
  return names;
}

std::string name_of(TokenizerClass wanted) {
  for (const auto& [name, known] : known_classes())
    if (known == wanted && name != "Phi3Tokenizer") return name;
  return "TokenizersBackend";
}

TokenizerClass class_named(const std::string& name, const TokenizerConfig& config) {
  const auto found = known_classes().find(name);
  if (found != known_classes().end()) return found->second;
  if (!refused_classes().contains(name)) return TokenizerClass::backend;
  throw Refused({config.file + ": tokenizer_class",
                 "is " + name + ", which transformers builds in a way this reader does not know",
                 "load it with AutoTokenizer, save its backend_tokenizer as tokenizer.json, and name the class "
                 "TokenizersBackend"});
}

// GPT-4's pattern with single digits, as Qwen 2 and 3 have it; `letters` of 3.5 take marks along.
Json qwen_splits(const std::string& letters, bool add_prefix_space) {
  const std::string pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?" + ("[" + letters + "]+") +
                              "|\\p{N}| ?[^\\s" + letters + "\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}},
            {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"use_regex", false}}}}};
}

Json piece_decoder(bool drops_first_space) {
  Json steps = Json::array({{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                            {{"type", "ByteFallback"}},
                            {{"type", "Fuse"}}});
  if (drops_first_space) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

struct Parts {
  Json normalizer, pre_tokenizer, decoder, model = Json::object();
};

Parts parts_of_pieces(TokenizerClass of, const TokenizerConfig& config, const std::string& unknown) {
  Parts parts;
  parts.model = {{"fuse_unk", true}, {"byte_fallback", true}};
  if (of != TokenizerClass::llama) parts.model["unk_token"] = unknown;
  if (of == TokenizerClass::gemma) {
    parts.normalizer = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
    parts.pre_tokenizer = {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}};
    parts.decoder = piece_decoder(false);
    return parts;
  }
  const bool prefix = config.add_prefix_space.value_or(true);
  const bool legacy = of == TokenizerClass::llama && config.legacy.value_or(false);
  const char* scheme = !prefix ? "never" : legacy ? "always" : "first";
  parts.pre_tokenizer = {
      {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", scheme}, {"split", false}};
  parts.decoder = piece_decoder(prefix || of == TokenizerClass::code_llama);
  return parts;
}

Parts parts_of_bytes(TokenizerClass of, const TokenizerConfig& config) {
  const bool prefix = config.add_prefix_space.value_or(false);
  Parts parts;
  parts.decoder = {{"type", "ByteLevel"}};
  parts.pre_tokenizer = {{"type", "ByteLevel"}, {"add_prefix_space", prefix}};
  if (of != TokenizerClass::gpt2 && of != TokenizerClass::code_gen) parts.normalizer = {{"type", "NFC"}};
  if (of == TokenizerClass::qwen2) parts.pre_tokenizer = qwen_splits("\\p{L}", prefix);
  if (of == TokenizerClass::qwen3_5) parts.pre_tokenizer = qwen_splits("\\p{L}\\p{M}", prefix);
  if (of == TokenizerClass::cohere)
    parts.pre_tokenizer = {{"type", "Sequence"},
                           {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, parts.pre_tokenizer}}};
  return parts;
}

bool is_of_pieces(TokenizerClass of) {
  return of == TokenizerClass::llama || of == TokenizerClass::code_llama || of == TokenizerClass::gemma;
}

}  // namespace

TokenizerClass tokenizer_class_of(const TokenizerConfig& config, bool byte_level) {
  const std::string& name = config.class_name;
  const auto* registered = [&]() -> const TokenizerClass* {
    for (const auto& [of, types] : registered_types())
      if (types.contains(config.model_type)) return &of;
    return nullptr;
  }();
  if (name.empty()) return registered ? *registered : TokenizerClass::backend;
  if (config.own_code) return class_named(name, config);
  const bool misnamed = misnamed_types().contains(config.model_type);
  if (name == "LlamaTokenizer" && byte_level && !misnamed) return TokenizerClass::backend;
  if (registered == nullptr || name_of(*registered) == name) return class_named(name, config);
  if (*registered == TokenizerClass::backend) return TokenizerClass::backend;
  return misnamed ? *registered : class_named(name, config);
}

bool is_byte_level(TokenizerClass of) {
  return of != TokenizerClass::backend && !is_of_pieces(of);
}

void rebuild(TokenizerFile& file, TokenizerClass of, const TokenizerConfig& config) {
  if (of == TokenizerClass::backend) return;
  const auto role = config.roles.find("unk_token");
  const std::string unknown =
      role != config.roles.end() && role->second.token ? role->second.token->token.content : "<unk>";
  Parts parts = is_of_pieces(of) ? parts_of_pieces(of, config, unknown) : parts_of_bytes(of, config);
  parts.model["type"] = "BPE";
  for (size_t id = 0; id < file.scored.size(); ++id)  // a Unigram's pieces, read as those of BPE
    file.vocabulary.emplace_back(file.scored[id].first, static_cast<int32_t>(id));
  file.scored.clear();
  const bool knows_unknown = std::any_of(file.vocabulary.begin(), file.vocabulary.end(),
                                         [&](const auto& entry) { return entry.first == unknown; });
  if (!knows_unknown) parts.model.erase("unk_token");
  file.rest["normalizer"] = std::move(parts.normalizer);
  file.rest["pre_tokenizer"] = std::move(parts.pre_tokenizer);
  file.rest["decoder"] = std::move(parts.decoder);
  file.rest["model"] = std::move(parts.model);
}

const std::vector<std::pair<std::string, const char*>>& default_roles(TokenizerClass of) {
  using Roles = std::vector<std::pair<std::string, const char*>>;
  static const Roles pieces = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
  static const Roles gpt2 = {{"bos_token", "<|endoftext|>"},
                             {"eos_token", "<|endoftext|>"},
                             {"unk_token", "<|endoftext|>"},
                             {"pad_token", nullptr}};
  static const std::map<TokenizerClass, Roles> roles = {{TokenizerClass::backend, {}},
                                                        {TokenizerClass::llama, pieces},
                                                        {TokenizerClass::code_llama, pieces},
                                                        {TokenizerClass::gpt2, gpt2},
                                                        {TokenizerClass::code_gen, gpt2},
                                                        {TokenizerClass::gemma,
                                                         {{"bos_token", "<bos>"},
                                                          {"eos_token", "<eos>"},
                                                          {"unk_token", "<unk>"},
                                                          {"pad_token", "<pad>"},
                                                          {"mask_token", "<mask>"}}},
                                                        {TokenizerClass::gpt_neox,
                                                         {{"bos_token", "<|endoftext|>"},
                                                          {"eos_token", "<|endoftext|>"},
                                                          {"unk_token", "<|endoftext|>"},
                                                          {"pad_token", "<|padding|>"}}},
                                                        {TokenizerClass::qwen2,
                                                         {{"bos_token", nullptr},
                                                          {"eos_token", "<|endoftext|>"},
                                                          {"unk_token", "<|endoftext|>"},
                                                          {"pad_token", "<|endoftext|>"}}},
                                                        {TokenizerClass::qwen3_5,
                                                         {{"bos_token", nullptr},
                                                          {"eos_token", "<|endoftext|>"},
                                                          {"unk_token", "<|endoftext|>"},
                                                          {"pad_token", "<|endoftext|>"}}},
                                                        {TokenizerClass::cohere,
                                                         {{"bos_token", "<BOS_TOKEN>"},
                                                          {"eos_token", "<|END_OF_TURN_TOKEN|>"},
                                                          {"unk_token", "<UNK>"},
                                                          {"sep_token", "<SEP>"},
                                                          {"pad_token", "<PAD>"},
                                                          {"cls_token", "<CLS>"},
                                                          {"mask_token", "<MASK_TOKEN>"}}}};
  return roles.at(of);
}

}  // namespace cmc::text
