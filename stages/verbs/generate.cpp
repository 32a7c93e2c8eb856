#include <chrono>
#include <iostream>

#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/decode/generate.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/verbs/chat_options.hpp"
#include "stages/verbs/model_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// What base and deltas read. A chat: the base its own template's text, a delta of another vocabulary the question as
// open-instruct writes it (protocol, "Decoding").
void set_prompts(fusion::Row& row, const std::string& prompt, const std::optional<std::string>& chat,
                 const LoadedPair& pair) {
  const auto& [text, added] =
      chat ? std::pair(*chat, text::AddedTokens::none) : std::pair(prompt, text::AddedTokens::as_model);
  row.prompt = fusion::tokens_of<BaseToken>(pair.tokenizer->encode(text, added));
  const auto style = chat ? text::PromptStyle::open_instruct : text::PromptStyle::plain;
  for (const auto& tokenizer : pair.delta_tokenizers) {
    auto& read = row.delta_prompts.emplace_back();
    if (tokenizer) read = fusion::tokens_of<DeltaToken>(text::fixed_prompt(style).tokens(prompt, *tokenizer));
  }
  if (pair.contrast)
    row.delta_prompts.push_back(fusion::tokens_of<DeltaToken>(pair.contrast->tokens(prompt, *pair.tokenizer)));
}

std::vector<decode::GenerationRequest> read_requests(const Arguments& arguments, const LoadedPair& pair) {
  std::vector<decode::GenerationRequest> requests;
  const auto chats = ChatPrompts::of(arguments, arguments.get("model"));
  const std::string seed = std::to_string(arguments.number<int64_t>("seed", {.least = 0}));
  read_json_records(arguments.get("prompts"), [&](const Json& line, const std::string& where) {
    const auto prompt = json_field<std::string>(line, "prompt", where);
    decode::GenerationRequest request;
    std::optional<std::string> chat;
    if (chats) chat = chats->render(prompt, line, where);
    set_prompts(request.row, prompt, chat, pair);
    if (request.row.prompt.empty()) throw BadData({where, "prompt is empty", "a model must read at least one token"});
    request.row.steering = pair.steering;
    request.seed = seed_of({seed, std::to_string(requests.size()), prompt});
    requests.push_back(std::move(request));
  });
  return requests;
}

decode::GenerationSettings settings_of(const Arguments& arguments) {
  decode::GenerationSettings settings;
  settings.max_new_tokens = arguments.number<int64_t>("new", {.least = 1, .most = 1e6});
  if (arguments.has("stop")) settings.stop_strings = arguments.get<std::vector<std::string>>("stop");
  settings.sampling = {arguments.number<double>("temperature", {.least = 0, .most = 100}),
                       arguments.number<double>("top-p", {.least = 0, .most = 1, .above_least = true})};
  if (settings.sampling.temperature == 0) arguments.expect_not_given({"top-p", "seed"}, "--temperature is 0, greedy");
  return settings;
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  add_model_options(options);
  add_contrast_option(options);
  add_chat_options(options);
  options.add_options()("prompts", po::value<std::string>(), "JSON lines with \"prompt\"")(
      "new", po::value<int64_t>()->default_value(64), "new tokens at most")(
      "temperature", po::value<double>()->default_value(0), "0: greedy")(
      "top-p", po::value<double>()->default_value(1), "nucleus")("seed", po::value<int64_t>()->default_value(1),
                                                                 "of the samples")(
      "stop", po::value<std::vector<std::string>>()->composing(), "a text that ends a response; repeatable")(
      "ignore-end", po::bool_switch(), "end tokens are tokens as others: every response has --new of them")(
      "warm-up", po::value<int64_t>()->default_value(0), "runs before the timed one");
  Arguments arguments(
      "generate --model DIR [--delta DIR --alpha A]… [--contrast STYLE] --prompts FILE.jsonl --new N [--chat]", options,
      {});
  if (!arguments.parse(given) || !takes_part(arguments, session)) return ExitCode::done;
  decode::GenerationSettings settings = settings_of(arguments);
  const LoadedPair pair = load_pair(arguments, session);
  const auto requests = read_requests(arguments, pair);
  if (!arguments.get<bool>("ignore-end")) settings.end_tokens = pair.end_tokens;
  for (auto left = arguments.number<int64_t>("warm-up", {.least = 0, .most = 1000}); left > 0; --left)
    decode::generate(*pair.source, pair.tokenizer, requests, settings);
  int64_t tokens = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto results = decode::generate(*pair.source, pair.tokenizer, requests, settings,
                                        [&](const decode::GenerationProgress& progress) { tokens = progress.tokens; });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (session.world().rank() != 0) return ExitCode::done;
  for (const auto& result : results)
    std::cout
        << Json{{"ids", result.plain_ids()}, {"text", result.text}, {"stop", decode::name_of(result.reason)}}.dump()
        << "\n";
  std::cout << Json{{"seconds", seconds}, {"tokens", tokens}}.dump() << "\n";
  return ExitCode::done;
}

}  // namespace

const Verb generate_verb = {"generate", "continue prompts with a model, alone or steered by deltas", run};

}  // namespace cmc::stages
