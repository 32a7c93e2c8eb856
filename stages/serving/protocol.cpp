#include "stages/serving/protocol.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/range.hpp"

namespace cmc::stages {
namespace {

constexpr int protocol_version = 1;
constexpr int64_t usual_new_tokens = 256;  // HFLM.max_gen_toks

// A setting that is misspelt must not be passed over.
void expect_fields(const Json& object, const std::vector<std::string>& known, const std::string& where) {
  if (!object.is_object()) throw BadData({where, "is no JSON object", "write {\"field\": value, …}"});
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string names;
    for (const auto& name : known) (names += names.empty() ? "" : ", ") += name;
    throw BadData({where + ": " + key, "is not known", "known: " + names});
  }
}

template <class Take>
void for_each_request(const Json& requests, const Take& take) {
  if (!requests.is_array()) throw BadData({"requests", "is no list", "write \"requests\": [{…}, {…}]"});
  for (size_t i = 0; i < requests.size(); ++i) take(requests[i], "requests[" + std::to_string(i) + "]");
}

double number_or(const Json& object, const std::string& key, double otherwise, const Range& range,
                 const std::string& where) {
  const auto value = json_field_or<Json>(object, key, otherwise, where);
  if (value.is_number() && range.holds(value.get<double>())) return value.get<double>();
  throw BadData({where + ": " + key, "(" + value.dump() + ") is out of range", "give a number " + text_of(range)});
}

int64_t integer_or(const Json& object, const std::string& key, int64_t otherwise, const Range& range,
                   const std::string& where) {
  const auto value = json_field_or<Json>(object, key, otherwise, where);
  if (value.is_number_integer() && range.holds(value.get<double>())) return value.get<int64_t>();
  throw BadData(
      {where + ": " + key, "(" + value.dump() + ") is no integer in range", "give an integer " + text_of(range)});
}

bool flag_or(const Json& object, const std::string& key, bool otherwise, const std::string& where) {
  const auto value = json_field_or<Json>(object, key, otherwise, where);
  if (!value.is_boolean()) throw BadData({where + ": " + key, "is neither true nor false", "give one of them"});
  return value.get<bool>();
}

std::vector<std::string> texts_or_none(const Json& object, const std::string& key, const std::string& where) {
  const auto value = json_field_or<Json>(object, key, Json::array(), where);
  if (value.is_string()) return {value.get<std::string>()};
  return json_field_or<std::vector<std::string>>(object, key, {}, where);
}

Json id_or_null(int32_t id) {
  return id < 0 ? Json() : Json(id);
}

}  // namespace

struct Protocol::NamedMethod {
  std::string name;
  Method run;
};

const std::vector<Protocol::NamedMethod>& Protocol::methods() {
  static const std::vector<NamedMethod> all = {{"loglikelihood", &Protocol::loglikelihood},
                                               {"loglikelihood_rolling", &Protocol::loglikelihood_rolling},
                                               {"generate_until", &Protocol::generate_until},
                                               {"tokenize", &Protocol::tokenize},
                                               {"apply_chat_template", &Protocol::apply_chat_template}};
  return all;
}

Protocol::Protocol(ServedModel model, int64_t longest, ChatWriter chats, KeepOn keep_on)
    : model_(std::move(model)),
      pairs_(model_.tokenizer, longest),
      chats_(std::move(chats)),
      keep_on_(std::move(keep_on)) {}

Json Protocol::greeting() const {
  const auto& special = model_.tokenizer->special();
  const auto chat_template = chats_.source();
  Json names = Json::array();
  for (const auto& method : methods()) names.push_back(method.name);
  return {{"protocol", protocol_version},
          {"methods", names},
          {"vocabulary", model_.source->vocabulary()},
          {"vocabulary_digest", model_.tokenizer->vocabulary_digest()},
          {"begin_token", id_or_null(special.begin)},
          {"end_token", id_or_null(special.end)},
          {"prefix_token", id_or_null(pairs_.prefix())},
          {"longest", pairs_.longest()},
          {"chat_template", chat_template ? Json(*chat_template) : Json()}};
}

Json Protocol::answers(const std::string& method, const Json& requests) {
  std::string names;
  for (const auto& [name, run] : methods()) {
    if (name == method) return (this->*run)(requests);
    (names += names.empty() ? "" : ", ") += name;
  }
  throw BadData({"method", "\"" + method + "\" is not known", "known: " + names});
}

Json Protocol::loglikelihood(const Json& requests) {
  std::vector<TextPair> pairs;
  for_each_request(requests, [&](const Json& one, const std::string& where) {
    expect_fields(one, {"context", "continuation"}, where);
    pairs.push_back(pairs_.pair(json_field<std::string>(one, "context", where),
                                json_field<std::string>(one, "continuation", where), where));
  });
  const auto found = log_likelihoods(model_, pairs, keep_on_);
  Json answers = Json::array();
  for (size_t i = 0; i < pairs.size(); ++i)
    answers.push_back({{"log_prob", found[i].log_prob},
                       {"greedy", found[i].greedy},
                       {"tokens", pairs[i].continuation.size()},
                       {"cut", pairs[i].cut}});
  return answers;
}

Json Protocol::loglikelihood_rolling(const Json& requests) {
  std::vector<TextPair> windows;
  std::vector<size_t> of_request;
  Json answers = Json::array();
  for_each_request(requests, [&](const Json& one, const std::string& where) {
    expect_fields(one, {"text"}, where);
    for (auto& window : pairs_.windows(json_field<std::string>(one, "text", where), where)) {
      windows.push_back(std::move(window));
      of_request.push_back(answers.size());
    }
    answers.push_back({{"log_prob", 0.0}, {"tokens", 0}});
  });
  const auto found = log_likelihoods(model_, windows, keep_on_);
  for (size_t i = 0; i < windows.size(); ++i) {
    Json& answer = answers[of_request[i]];
    answer["log_prob"] = answer["log_prob"].get<double>() + found[i].log_prob;
    answer["tokens"] = answer["tokens"].get<size_t>() + windows[i].continuation.size();
  }
  return answers;
}

Continuation Protocol::continuation(const Json& request, const std::string& where) const {
  expect_fields(request, {"context", "until", "max_gen_toks", "do_sample", "temperature", "top_p", "seed"}, where);
  Continuation asked;
  auto& settings = asked.settings;
  const auto context = json_field<std::string>(request, "context", where);
  settings.max_new_tokens = integer_or(request, "max_gen_toks", usual_new_tokens, {.least = 1, .most = 1e6}, where);
  settings.sampling = {number_or(request, "temperature", 0, {.least = 0, .most = 100}, where),
                       number_or(request, "top_p", 1, {.least = 0, .most = 1, .above_least = true}, where)};
  if (!flag_or(request, "do_sample", true, where)) settings.sampling.temperature = 0;
  if (settings.sampling.greedy()) settings.sampling.top_p = 1;
  for (auto& stop : texts_or_none(request, "until", where)) {
    // The text of an answer has no special tokens: one that is to end it does so as a token.
    const auto ids = model_.tokenizer->encode(stop, text::AddedTokens::none);
    const auto& vocabulary = model_.tokenizer->vocabulary();
    if (ids.size() == 1 && vocabulary[static_cast<size_t>(ids[0])].kind == text::TokenKind::special)
      settings.end_tokens.push_back(ids[0]);
    if (!stop.empty()) settings.stop_strings.push_back(std::move(stop));
  }
  asked.prompt = pairs_.prompt(context, settings.max_new_tokens, where);
  asked.seed = seed_of({std::to_string(integer_or(request, "seed", 1, {.least = 0, .most = 9e15}, where)), context});
  return asked;
}

Json Protocol::generate_until(const Json& requests) {
  std::vector<Continuation> asked;
  for_each_request(requests,
                   [&](const Json& one, const std::string& where) { asked.push_back(continuation(one, where)); });
  const auto texts = continuations(model_, asked, keep_on_);
  Json answers = Json::array();
  for (size_t i = 0; i < asked.size(); ++i)
    answers.push_back({{"text", texts[i].text},
                       {"stop", decode::name_of(texts[i].reason)},
                       {"tokens", texts[i].tokens.size()},
                       {"cut", asked[i].prompt.cut}});
  return answers;
}

Json Protocol::tokenize(const Json& requests) {
  Json answers = Json::array();
  for_each_request(requests, [&](const Json& one, const std::string& where) {
    expect_fields(one, {"text", "add_special_tokens"}, where);
    const auto text = json_field<std::string>(one, "text", where);
    const bool added = flag_or(one, "add_special_tokens", true, where);
    answers.push_back({{"ids", added ? pairs_.encode(text) : model_.tokenizer->encode(text, text::AddedTokens::none)}});
  });
  return answers;
}

Json Protocol::apply_chat_template(const Json& requests) {
  Json answers = Json::array();
  for_each_request(requests, [&](const Json& one, const std::string& where) {
    expect_fields(one, {"messages", "add_generation_prompt"}, where);
    text::Chat chat;
    for (const auto& message : json_field<std::vector<Json>>(one, "messages", where)) {
      const std::string place = where + ": messages[" + std::to_string(chat.size()) + "]";
      expect_fields(message, {"role", "content"}, place);
      chat.push_back(
          {json_field<std::string>(message, "role", place), json_field<std::string>(message, "content", place)});
    }
    const bool prompt = flag_or(one, "add_generation_prompt", true, where);
    answers.push_back({{"text", chats_.write(chat, prompt ? text::ChatEnd::prompt : text::ChatEnd::open_message)}});
  });
  return answers;
}

}  // namespace cmc::stages
