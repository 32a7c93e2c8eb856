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

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("from", po::value<std::string>(), "tokenizer of the base (target) model")(
      "to", po::value<std::string>(), "tokenizer of the delta model")(
      "method", po::value<std::string>()->default_value("pm_mined"), "pm_mined, exact_only or one_to_many")(
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
  const auto c = token_map::coverage(map);
  const double percent = 100.0 / static_cast<double>(std::max<size_t>(1, map.ids.size()));
  std::printf("%zu base tokens onto %d delta tokens in %.2f s\n", map.ids.size(), map.delta_size, seconds);
  std::printf("exact    %8ld  %5.1f %%\ninexact  %8ld  %5.1f %%\nunmapped %8ld  %5.1f %%\n", static_cast<long>(c.exact),
              percent * static_cast<double>(c.exact), static_cast<long>(c.inexact),
              percent * static_cast<double>(c.inexact), static_cast<long>(c.unmapped),
              percent * static_cast<double>(c.unmapped));
  if (arguments.has("json"))
    write_named_file(std::filesystem::absolute(arguments.get("json")),
                     to_json(map, *base).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  return ExitCode::done;
}

}  // namespace

const Verb map_verb = {"map", "make a token map between two vocabularies (PM-MinED) and show its coverage", run};

}  // namespace cmc::stages
