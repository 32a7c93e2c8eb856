#include <iostream>

#include "pipeline/core/json.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/verbs/chat_options.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// The tokenizer's path: --model is a folder's name as in the other verbs.
std::string place_of(const Arguments& arguments) {
  if (!arguments.has("model")) return arguments.get("tokenizer");
  if (arguments.has("tokenizer")) throw Usage({"--model", "is given beside --tokenizer", "give one of them"});
  return arguments.get("model");
}

Json line_of(const text::Tokenizer& tokenizer, ChatPrompts* chats, const Json& line, const std::string& where) {
  const auto text = json_field<std::string>(line, "text", where);
  if (chats) {
    const std::string prompt = chats->render(text, line, where);
    return {{"ids", tokenizer.encode(prompt, text::AddedTokens::none)}, {"text", prompt}};
  }
  const auto ids = tokenizer.encode(text, text::AddedTokens::none);
  return {{"ids", ids}, {"text", tokenizer.decode(ids, text::Tokenizer::SpecialText::keep)}};
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("tokenizer", po::value<std::string>(), "model folder, tokenizer.json or tokenizer.model")(
      "model", po::value<std::string>(), "the same: model folder")("texts", po::value<std::string>(),
                                                                   "JSON lines with \"text\"; unset: standard input");
  add_chat_options(options);
  Arguments arguments("tokenize --model DIR [--chat] [--texts FILE.jsonl]", options, {});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string place = place_of(arguments);
  const auto tokenizer = text::load_tokenizer(place);
  const auto chats = ChatPrompts::of(arguments, place);
  const auto take = [&](const Json& line, const std::string& where) {
    std::cout << line_of(*tokenizer, chats.get(), line, where).dump() << "\n";
  };
  if (arguments.has("texts"))
    read_json_records(arguments.get("texts"), take);
  else
    read_json_lines(std::cin, "standard input", take);
  return ExitCode::done;
}

}  // namespace

const Verb tokenize_verb = {"tokenize",
                            "token ids of texts, and the texts back; with --chat of user messages as prompts", run};

}  // namespace cmc::stages
