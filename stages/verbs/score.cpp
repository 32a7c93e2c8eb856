#include <chrono>
#include <iostream>

#include "pipeline/core/json.hpp"
#include "pipeline/decode/score.hpp"
#include "stages/verbs/model_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  add_model_options(options);
  add_contrast_option(options);
  options.add_options()("pairs", po::value<std::string>(), "JSON lines with \"prompt\" and \"answer\"")(
      "warm-up", po::value<int64_t>()->default_value(0), "runs before the timed one");
  Arguments arguments("score --model DIR [--delta DIR --alpha A]… [--contrast STYLE] --pairs FILE.jsonl", options, {});
  if (!arguments.parse(given) || !takes_part(arguments, session)) return ExitCode::done;
  const LoadedPair pair = load_pair(arguments, session);
  std::vector<decode::ScoreRequest> requests;
  read_json_records(arguments.get("pairs"), [&](const Json& line, const std::string& where) {
    const auto encode = [&](const char* field, text::AddedTokens added) {
      return fusion::tokens_of<BaseToken>(pair.tokenizer->encode(json_field<std::string>(line, field, where), added));
    };
    requests.push_back(
        {encode("prompt", text::AddedTokens::as_model), encode("answer", text::AddedTokens::none), pair.steering});
    if (pair.contrast) {
      auto& deltas = requests.back().deltas;
      deltas.resize(pair.steering.terms.size());
      deltas.back().prompt = fusion::tokens_of<DeltaToken>(
          pair.contrast->tokens(json_field<std::string>(line, "prompt", where), *pair.tokenizer));
    }
    if (requests.back().prompt.empty())
      throw BadData({where, "prompt is empty", "something must predict the answer's first token"});
  });
  for (auto left = arguments.number<int64_t>("warm-up", {.least = 0, .most = 1000}); left > 0; --left)
    decode::score(*pair.source, requests);
  const auto start = std::chrono::steady_clock::now();
  const auto scores = decode::score(*pair.source, requests);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (session.world().rank() != 0) return ExitCode::done;
  int64_t tokens = 0;
  for (const auto& score : scores) {
    std::cout << Json{{"logprob", score.log_prob}, {"tokens", score.tokens()}}.dump() << "\n";
    tokens += score.tokens();
  }
  std::cout << Json{{"seconds", seconds}, {"tokens", tokens}}.dump() << "\n";
  return ExitCode::done;
}

}  // namespace

const Verb score_verb = {"score", "log-probability of answers, by a model alone or steered by deltas", run};

}  // namespace cmc::stages
