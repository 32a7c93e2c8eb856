#include <chrono>
#include <iostream>

#include "pipeline/core/json.hpp"
#include "pipeline/core/named_file.hpp"
#include "pipeline/token_map/token_map.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

Json to_json(const token_map::TokenMap& map, const text::Tokenizer& base) {
  static const char* names[] = {"unmapped", "inexact", "exact"};
  Json ids = Json::array(), match = Json::array(), tokens = Json::array();
  for (size_t i = 0; i < map.ids.size(); ++i) {
    ids.push_back(map.ids[i].value);
    match.push_back(names[static_cast<size_t>(map.match[i])]);
    tokens.push_back(base.vocabulary()[i].piece);
  }
  Json json = {{"ids", ids}, {"match", match}, {"tokens", tokens}};
  if (map.offsets.empty()) return json;
  json["candidates"] = Json::array();  // one list for each base token
  for (size_t i = 0; i < map.ids.size(); ++i) {
    Json list = Json::array();
    for (int64_t at = map.offsets[i]; at < map.offsets[i + 1]; ++at)
      list.push_back(map.candidates[static_cast<size_t>(at)].value);
    json["candidates"].push_back(list);
  }
  return json;
}

void print(const std::string& of, const token_map::Coverage& c) {
  const auto total = static_cast<double>(std::max<int64_t>(1, c.exact + c.inexact + c.unmapped));
  const auto line = [&](const char* name, int64_t count) {
    std::printf("%-8s %8ld  %5.1f %%%s\n", name, static_cast<long>(count), 100.0 * static_cast<double>(count) / total,
                of.c_str());
  };
  line("exact", c.exact), line("inexact", c.inexact), line("unmapped", c.unmapped);
}

// The base's tokens of every "text" of a file.
std::vector<int32_t> tokens_of(const std::string& file, const text::Tokenizer& tokenizer) {
  std::vector<int32_t> tokens;
  read_json_records(file, [&](const Json& line, const std::string& where) {
    const auto ids = tokenizer.encode(json_field<std::string>(line, "text", where), text::AddedTokens::none);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  });
  return tokens;
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("from", po::value<std::string>(), "tokenizer of the base (target) model")(
      "to", po::value<std::string>(), "tokenizer of the delta model")(
      "method", po::value<std::string>()->default_value("pm_mined"),
      "pm_mined, exact_only, one_to_many, min_ed or prefix_sum")(
      "texts", po::value<std::string>(), "JSON lines with \"text\": coverage of their tokens, too")(
      "compat", po::value<std::string>()->default_value("corrected"), "authors: the published map, fault included")(
      "json", po::value<std::string>(), "write the map to this file");
  Arguments arguments("map --from TOKENIZER --to TOKENIZER [options]", options, {});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string from = arguments.get("from"), to = arguments.get("to");
  const auto base = text::load_tokenizer(from), delta = text::load_tokenizer(to);
  const auto start = std::chrono::steady_clock::now();
  const auto map = token_map::make_token_map(*base, *delta, token_map::method_named(arguments.get("method")),
                                             token_map::compat_named(arguments.get("compat")));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%zu base tokens onto %d delta tokens in %.2f s\n", map.ids.size(), map.delta_size, seconds);
  print("", token_map::coverage(map));
  if (arguments.has("texts"))
    print(" of the texts' tokens", token_map::coverage_in_use(map, tokens_of(arguments.get("texts"), *base)));
  if (arguments.has("json"))
    write_named_file(std::filesystem::absolute(arguments.get("json")),
                     to_json(map, *base).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  return ExitCode::done;
}

}  // namespace

const Verb map_verb = {"map", "make a token map between two vocabularies (PM-MinED) and show its coverage", run};

}  // namespace cmc::stages
