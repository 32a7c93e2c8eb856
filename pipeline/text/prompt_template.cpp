#include "pipeline/text/prompt_template.hpp"

#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/text/tokenizer_config.hpp"
#include "pipeline/text/unicode.hpp"

namespace cmc::text {
namespace {

constexpr NamedEnum styles("prompt style",
                           std::to_array<Named<PromptStyle>>({{PromptStyle::plain, "plain"},
                                                              {PromptStyle::open_instruct, "open_instruct"},
                                                              {PromptStyle::inst, "inst"},
                                                              {PromptStyle::question_answer, "question_answer"},
                                                              {PromptStyle::chat, "chat"}}));

bool holds(const std::string& text, const char* mark) {
  return text.find(mark) != std::string::npos;
}

// chat_template of tokenizer_config.json as it stands; null where there is none.
Json configured_template(const std::filesystem::path& folder) {
  const auto file = folder / "tokenizer_config.json";
  const Json config = std::filesystem::exists(file) ? read_json(file) : Json::object();
  return json_field_or<Json>(config, "chat_template", Json(), file.string());
}

// A chat template's source, from chat_template.jinja or tokenizer_config.json.
std::string chat_template_of(const std::filesystem::path& folder) {
  const auto jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) return read_file(jinja);
  const auto file = folder / "tokenizer_config.json";
  Json found = configured_template(folder);
  if (found.is_array()) {  // several, by name
    for (const auto& named : Json(found))
      if (json_field<std::string>(named, "name", file.string() + ": chat_template") == "default")
        found = named.at("template");
  }
  if (found.is_null())
    throw BadData({folder.string(),
                   "has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)",
                   "a model without one takes the prompt styles plain, open_instruct or inst"});
  if (!found.is_string()) throw_bad_field(file.string(), "chat_template", "is not a template's text");
  return found.get<std::string>();
}

// The string literal around `mark` in the template's source, e.g. "[INST] " with its spaces; `mark` itself if bare.
std::string literal_around(const std::string& source, const std::string& mark) {
  const size_t at = source.find(mark);
  size_t begin = at, end = at + mark.size();
  while (begin > 0 && source[begin - 1] == ' ') --begin;
  while (end < source.size() && source[end] == ' ') ++end;
  const auto quoted = [&](size_t place) {
    return place < source.size() && (source[place] == '\'' || source[place] == '"');
  };
  if (begin == 0 || !quoted(begin - 1)) begin = at;
  if (!quoted(end)) end = at + mark.size();
  return source.substr(begin, end - begin);
}

std::string unescape_newlines(std::string text) {
  for (size_t at = text.find("\\n"); at != std::string::npos; at = text.find("\\n", at)) text.replace(at, 2, "\n");
  return text;
}

// The system prompt a ChatML template writes by itself: the first "<|im_start|>system\n…<|im_end|>" without a variable.
std::string default_system(const std::string& source) {
  constexpr std::string_view open = "<|im_start|>system", close = "<|im_end|>";
  for (size_t at = source.find(open); at != std::string::npos; at = source.find(open, at + 1)) {
    const size_t end = source.find(close, at);
    if (end == std::string::npos) return {};
    const std::string block = source.substr(at, end - at);
    if (block.find_first_of("'\"{}+") == std::string::npos) return unescape_newlines(block) + "<|im_end|>\n";
  }
  return {};
}

struct Chat {
  std::string before, after;
  bool trimmed = false;       // the question loses white space at its ends
  bool writes_begin = false;  // `before` starts with the begin token
};

Chat chat_of(const std::string& source, const TokenizerConfig& config, const std::filesystem::path& folder) {
  Chat chat;
  chat.trimmed = holds(source, "| trim") || holds(source, "|trim") || holds(source, ".strip()");
  const auto begin_or = [&](const char* otherwise) { return config.begin.value_or(otherwise); };
  std::string begin;
  if (holds(source, "<|start_header_id|>")) {  // Llama 3
    begin = begin_or("<|begin_of_text|>");
    // Llama 3.1 dates its system prompt; the date the template falls back to keeps results the same every day.
    if (holds(source, "Cutting Knowledge Date"))
      chat.before =
          "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul "
          "2024\n\n"
          "<|eot_id|>";
    chat.before += "<|start_header_id|>user<|end_header_id|>\n\n";
    chat.after = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
  } else if (holds(source, "<start_of_turn>")) {  // Gemma
    begin = begin_or("<bos>");
    chat.before = "<start_of_turn>user\n";
    chat.after = "<end_of_turn>\n<start_of_turn>model\n";
  } else if (holds(source, "<|im_start|>")) {  // ChatML: Qwen, SmolLM
    if (holds(source, "bos_token")) begin = config.begin.value_or("");
    chat.before = default_system(source) + "<|im_start|>user\n";
    chat.after = "<|im_end|>\n<|im_start|>assistant\n";
  } else if (holds(source, "[INST]") && holds(source, "[/INST]")) {  // Llama 2, Mistral
    begin = begin_or("<s>");
    chat.before = literal_around(source, "[INST]");
    chat.after = literal_around(source, "[/INST]");
    if (holds(source, "<<SYS>>")) chat.before = "[INST] ", chat.after = " [/INST]";
  } else {
    throw BadData({folder.string() + ": chat_template", "is of no family this program knows",
                   "known are Llama 2, Llama 3, Mistral, Gemma, Qwen/ChatML and SmolLM; or use another prompt style"});
  }
  chat.writes_begin = !begin.empty();
  chat.before = begin + chat.before;
  return chat;
}

}  // namespace

PromptStyle prompt_style(std::string_view name) {
  return styles.named<BadExperiment>(name);
}

std::string_view name_of(PromptStyle style) {
  return styles.name_of(style);
}

bool has_chat_template(const std::filesystem::path& model_folder) {
  return std::filesystem::exists(model_folder / "chat_template.jinja") || !configured_template(model_folder).is_null();
}

PromptTemplate::PromptTemplate(PromptStyle style, const std::filesystem::path& model_folder) : style_(style) {
  if (style == PromptStyle::open_instruct) before_ = "<|user|>\n", after_ = "\n<|assistant|>\n";
  if (style == PromptStyle::inst) before_ = "[INST] ", after_ = " [/INST]";
  if (style == PromptStyle::question_answer) before_ = "Question: ", after_ = "\nAnswer:";
  if (style != PromptStyle::chat) return;
  auto chat = chat_of(chat_template_of(model_folder), read_tokenizer_config(model_folder), model_folder);
  before_ = std::move(chat.before);
  after_ = std::move(chat.after);
  trimmed_ = chat.trimmed;
  writes_begin_ = chat.writes_begin;
}

std::string PromptTemplate::operator()(std::string_view question) const {
  if (trimmed_) question = strip_right(strip_left(question, is_python_space), is_python_space);
  return before_ + std::string(question) + after_;
}

std::vector<int32_t> PromptTemplate::tokens(std::string_view question, const Tokenizer& tokenizer) const {
  return tokenizer.encode((*this)(question), style_ == PromptStyle::chat ? AddedTokens::none : AddedTokens::as_model);
}

bool PromptTemplate::writes_begin_token() const {
  return writes_begin_;
}

}  // namespace cmc::text
