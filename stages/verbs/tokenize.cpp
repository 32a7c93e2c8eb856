#include <iostream>

#include "pipeline/core/json.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("tokenizer", po::value<std::string>(), "model folder, tokenizer.json or tokenizer.model")(
      "texts", po::value<std::string>(), "JSON lines with \"text\"");
  Arguments arguments("tokenize --tokenizer DIR_OR_FILE --texts FILE.jsonl", options, {});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const auto tokenizer = text::load_tokenizer(arguments.get("tokenizer"));
  read_json_lines(arguments.get("texts"), [&](const Json& line, const std::string& where) {
    const auto ids = tokenizer->encode(json_field<std::string>(line, "text", where), text::AddedTokens::none);
    std::cout << Json{{"ids", ids}, {"text", tokenizer->decode(ids, text::Tokenizer::SpecialText::keep)}}.dump()
              << "\n";
  });
  return ExitCode::done;
}

}  // namespace

const Verb tokenize_verb = {"tokenize", "token ids of texts, and the texts back", run};

}  // namespace cmc::stages
