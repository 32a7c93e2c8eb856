// Reads JSON lines from standard input, writes one JSON line for each:
//   probe_text encode --tokenizer PATH     {"text", "added"?: "as_model"}        -> {"ids"}
//   probe_text decode --tokenizer PATH     {"ids", "special"?: "keep"}           -> {"text", "pushes"}
//   probe_text vocabulary --tokenizer PATH                                       -> {"kind", "special", "digest",
//   "entries"}
//   probe_text prompt --style NAME [--model DIR] [--date D] [--tokenizer PATH] [--before TEXT --after TEXT]
//                                          {"question"} -> {"prompt" or "error", "ids" (with a tokenizer)}
//   probe_text template --model DIR        -> {"before", "after", "strip", "marks", "dated"} of its chat template
//   probe_text chat --model DIR [--date D] {"messages": [[role, content], …]}    -> {"text" or "error", "unsafe"}
//   probe_text matches --tokenizer PATH    {"text"}                              -> {"spans"}
//   probe_text python                      {"pattern", "text", "ignore_case"?}   -> {"spans", "split", "sub"} or
//   {"error"}
//                                          {"text"}                              -> {"lower", "is_upper", "is_lower"}
//   probe_text time --tokenizer PATH       {"text"}                              -> {"microseconds"}
// probe_text train --lines FILE --folder DIR --pieces N [--coverage X]  trains a vocabulary
#include <chrono>
#include <iostream>
#include <map>

#include "pipeline/core/date.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/text/chat_prompt.hpp"
#include "pipeline/text/incremental_decoder.hpp"
#include "pipeline/text/pattern.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "pipeline/text/python_pattern.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/text/tokenizer_training.hpp"
#include "pipeline/text/unicode.hpp"

namespace {

using cmc::Json;
using namespace cmc::text;
using Shared = std::shared_ptr<const Tokenizer>;

template <class Answer>
void for_each_line(Answer answer) {
  for (std::string line; std::getline(std::cin, line);) {
    Json reply = answer(Json::parse(line));
    std::cout << reply.dump(-1, ' ', false, Json::error_handler_t::strict) << '\n';
  }
}

Json encode(const Shared& tokenizer, const Json& line) {
  const auto added = line.value("added", "") == "as_model" ? AddedTokens::as_model : AddedTokens::none;
  return {{"ids", tokenizer->encode(line.at("text").get<std::string>(), added)}};
}

Json decode(const Shared& tokenizer, const Json& line) {
  const auto ids = line.at("ids").get<std::vector<int32_t>>();
  const auto special = line.value("special", "") == "keep" ? SpecialText::keep : SpecialText::skip;
  std::vector<std::string> pushes;
  IncrementalDecoder decoder(tokenizer);
  for (const int32_t id : ids) pushes.push_back(decoder.push(id));
  pushes.push_back(decoder.finish());
  return {{"text", tokenizer->decode(ids, special)}, {"pushes", pushes}};
}

Json vocabulary(const Tokenizer& tokenizer) {
  static const std::map<TokenKind, std::string> names = {{TokenKind::text, "text"},
                                                         {TokenKind::partial, "partial"},
                                                         {TokenKind::byte, "byte"},
                                                         {TokenKind::special, "special"},
                                                         {TokenKind::unused, "unused"}};
  Json entries = Json::array();
  for (const auto& entry : tokenizer.vocabulary()) {
    const std::vector<uint8_t> bytes(entry.bytes.begin(), entry.bytes.end());
    entries.push_back({entry.piece, names.at(entry.kind), bytes});
  }
  const auto& special = tokenizer.special();
  return {{"kind", tokenizer.kind() == TokenizerKind::byte_level_bpe ? "byte_level_bpe" : "sentencepiece"},
          {"special", {special.begin, special.end, special.unknown, special.padding}},
          {"digest", tokenizer.vocabulary_digest()},
          {"entries", entries}};
}

// Where matches of the pre-tokenizer's pattern begin and end, in characters.
Json matches_of(const Pattern& pattern, const Json& line) {
  const auto text = line.at("text").get<std::string>();
  Json spans = Json::array();
  size_t at = 0, number = 0;
  const auto count_to = [&](size_t end) {
    for (; at < end; ++number) cmc::next_code_point(text, at);
    return number;
  };
  for (const auto& [begin, end] : pattern.find_all(text)) {
    const size_t first = count_to(begin);
    spans.push_back({first, count_to(end)});
  }
  return {{"spans", spans}};
}

Json time_of(const Shared& tokenizer, const Json& line) {
  const auto text = line.at("text").get<std::string>();
  const auto start = std::chrono::steady_clock::now();
  constexpr int rounds = 20;
  size_t tokens = 0;
  for (int i = 0; i < rounds; ++i) tokens += tokenizer->encode(text, AddedTokens::none).size();
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
  return {{"microseconds", spent.count() / rounds}, {"tokens", tokens / rounds}};
}

PromptTemplate prompt_of(std::map<std::string, std::string>& options) {
  const auto style = prompt_style(options["--style"]);
  if (style == PromptStyle::text) return {style, options["--before"], options["--after"]};
  if (style != PromptStyle::chat) return fixed_prompt(style);
  ChatRenderer renderer(read_chat_template(options["--model"]), options["--date"]);
  return chat_prompt(renderer, {});
}

Json asked(const PromptTemplate& prompt, const Tokenizer* tokenizer, const std::string& question) {
  try {
    Json reply = {{"prompt", prompt(question)}};
    if (tokenizer) reply["ids"] = prompt.tokens(question, *tokenizer);
    return reply;
  } catch (const cmc::BadData& error) {
    return {{"error", error.what()}};
  }
}

// Spans in code points, as Python counts.
Json spans_of(const PythonPattern& pattern, std::string_view text) {
  Json spans = Json::array();
  size_t done = 0, points = 0;
  const auto points_to = [&](size_t byte) {
    points += cmc::count_code_points(text.substr(done, byte - done));
    done = byte;
    return points;
  };
  for (const auto& [begin, end] : pattern.find_all(text)) {
    const size_t first = points_to(begin);
    spans.push_back({first, points_to(end)});
  }
  return spans;
}

Json as_python(const Json& line) {
  const auto text = line.at("text").get<std::string>();
  if (!line.contains("pattern"))
    return {{"lower", python_lower(text)}, {"is_upper", is_python_upper(text)}, {"is_lower", is_python_lower(text)}};
  const auto letters = line.value("ignore_case", false) ? LetterCase::ignored : LetterCase::exact;
  try {
    const PythonPattern pattern(line.at("pattern").get<std::string>(), letters, "pattern");
    cmc::expect(pattern.occurs_in(text) == !pattern.find_all(text).empty(),
                "a text is searched and read through alike");
    Json parts = Json::array();
    for (const auto part : pattern.split(text)) parts.emplace_back(part);
    return {{"spans", spans_of(pattern, text)}, {"split", parts}, {"sub", pattern.replace_all(text, "<\\1>")}};
  } catch (const cmc::BadData& error) {
    return {{"error", error.what()}};
  }
}

Json rendered(ChatRenderer& renderer, const Json& line) {
  Chat chat;
  for (const auto& message : line.at("messages"))
    chat.push_back({message.at(0).get<std::string>(), message.at(1).get<std::string>()});
  const auto one = renderer.try_all({chat}).front();
  if (one.error.empty()) return {{"text", one.text}};
  return {{"error", one.error}, {"unsafe", one.unsafe}};
}

void run_prompts(const std::string& verb, std::map<std::string, std::string>& options) {
  options.emplace("--date", cmc::pinned_date);
  if (verb == "prompt") {
    const auto prompt = prompt_of(options);
    const Shared tokenizer = options.contains("--tokenizer") ? load_tokenizer(options["--tokenizer"]) : nullptr;
    for_each_line(
        [&](const Json& line) { return asked(prompt, tokenizer.get(), line.at("question").get<std::string>()); });
    return;
  }
  ChatRenderer renderer(read_chat_template(options["--model"]), options["--date"]);
  if (verb == "chat") return for_each_line([&](const Json& line) { return rendered(renderer, line); });
  const auto prompt = chat_prompt(renderer, {});
  std::cout << Json{{"before", prompt.before},
                    {"after", prompt.after},
                    {"strip", name_of(prompt.strip)},
                    {"marks", prompt.marks},
                    {"dated", renderer.is_dated()}}
            << '\n';
}

int run(const std::string& verb, std::map<std::string, std::string> options) {
  if (verb == "prompt" || verb == "template" || verb == "chat") return run_prompts(verb, options), 0;
  if (verb == "train") {
    options.emplace("--coverage", "1");
    train_tokenizer(options["--lines"], options["--folder"],
                    {std::stoi(options["--pieces"]), std::stod(options["--coverage"])});
    return 0;
  }
  if (verb == "python") return for_each_line(as_python), 0;
  if (verb == "matches") {
    const Json file = cmc::read_json(options["--tokenizer"]);
    const Pattern pattern(file.at("pre_tokenizer").at("pattern"), "pattern");
    for_each_line([&](const Json& line) { return matches_of(pattern, line); });
    return 0;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto tokenizer = load_tokenizer(options["--tokenizer"]);
  if (verb == "encode")
    for_each_line([&](const Json& line) { return encode(tokenizer, line); });
  else if (verb == "decode")
    for_each_line([&](const Json& line) { return decode(tokenizer, line); });
  else if (verb == "time")
    for_each_line([&](const Json& line) { return time_of(tokenizer, line); });
  else if (verb == "vocabulary")
    std::cout << vocabulary(*tokenizer) << '\n';
  else if (verb == "load")
    std::cout << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() << '\n';
  else
    return 2;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 2; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  cmc::start_log({});  // warnings to standard error, away from the answers
  try {
    return run(argc > 1 ? argv[1] : "", options);
  } catch (const cmc::Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
}
