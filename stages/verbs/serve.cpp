#include <unistd.h>

#include <iostream>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/distributed/stop_request.hpp"
#include "stages/serving/server.hpp"
#include "stages/verbs/chat_options.hpp"
#include "stages/verbs/model_options.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  add_model_options(options);
  options.add_options()("stdio", po::bool_switch(), "requests on standard input, answers on standard output")(
      "max-length", po::value<int64_t>(), "tokens read at once; unset: what config.json says")(
      "date", po::value<std::string>(), (std::string("the day that chats are told, ") + pinned_date).c_str());
  Arguments arguments("serve --stdio --model DIR [--delta DIR --alpha A]…", options, {});
  if (!arguments.parse(given) || !takes_part(arguments, session)) return ExitCode::done;
  if (!arguments.get<bool>("stdio"))
    throw Usage({"cmc serve", "is asked in one way, and --stdio is missing", "add --stdio"});
  const std::string folder = arguments.get("model");
  ChatWriter chats(folder, chat_date(arguments));
  const int64_t longest = arguments.has("max-length")
                              ? arguments.number<int64_t>("max-length", {.least = 2, .most = 1e9})
                              : checkpoint::read_model_config(folder).max_positions;
  LoadedPair pair = load_pair(arguments, session);
  const distributed::StopRequest stop;
  const KeepOn keep_on = [&] {
    if (stop.asked()) throw Stopped({"cmc serve", "was asked to stop by " + stop.reason(), ""});
  };
  Protocol protocol({std::move(pair.source), pair.tokenizer, pair.delta_tokenizers, pair.steering, pair.end_tokens},
                    longest, std::move(chats), keep_on);
  LineInput input(STDIN_FILENO, keep_on);
  serve(input, std::cout, protocol, session.world());
  return ExitCode::done;
}

}  // namespace

const Verb serve_verb = {"serve", "answers benchmark programs, JSON line by line, by a model alone or steered", run};

}  // namespace cmc::stages
