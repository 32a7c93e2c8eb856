// Drives generation and scoring from Python tests: probe_decode generate|score|maps|byte_exact SPECIFICATION.json,
// results on stdout.
#include <chrono>
#include <iostream>
#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/decode/generate.hpp"
#include "pipeline/decode/score.hpp"
#include "pipeline/fusion/byte_exact.hpp"
#include "pipeline/fusion/fused_source.hpp"

namespace cmc {
namespace {

using text::AddedTokens;

// {"base": folder, "deltas": [{"parts": [{"model": folder, "weight": w}], "own_vocabulary": bool, "contrast": bool}],
// "mode", "map", "unmapped", "top", "top_of", "gate", "gate_threshold", "slots", "prefill_chunk", "lag"}
struct Setting {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<std::shared_ptr<const token_map::TokenMap>> maps;          // null: the base's vocabulary
  std::vector<std::shared_ptr<const text::Tokenizer>> delta_tokenizers;  // null: it reads what the base reads
  std::unique_ptr<fusion::LogitSource> source;
};

std::shared_ptr<const model::DecoderModel> load_model(const std::string& folder) {
  return std::make_shared<const model::DecoderModel>(model::DecoderModel::load(folder, torch::kFloat32, torch::kCPU));
}

Setting setting_of(const Json& spec) {
  Setting setting;
  const auto folder = spec.at("base").get<std::string>();
  setting.tokenizer = text::load_tokenizer(folder);
  std::vector<fusion::Delta> deltas;
  for (const auto& written : spec.value("deltas", Json::array())) {
    fusion::Delta delta;
    for (const auto& part : written.at("parts"))
      delta.parts.push_back({load_model(part.at("model")), part.value("weight", 1.0f)});
    if (written.value("own_vocabulary", false)) {
      delta.tokenizer = text::load_tokenizer(written.at("parts")[0].at("model").get<std::string>());
      delta.map = std::make_shared<const token_map::TokenMap>(token_map::make_token_map(
          *setting.tokenizer, *delta.tokenizer, token_map::method_named(spec.value("map", "pm_mined")),
          token_map::Compat::corrected));
    }
    delta.contrast = written.value("contrast", false);
    setting.delta_tokenizers.push_back(delta.contrast ? setting.tokenizer : delta.tokenizer);
    setting.maps.push_back(delta.map);
    deltas.push_back(std::move(delta));
  }
  fusion::FusionSettings settings;
  settings.mode = fusion::fusion_mode(spec.value("mode", "base_normalized"));
  settings.unmapped = fusion::unmapped(spec.value("unmapped", "zero"));
  settings.gate = {fusion::gate_rule(spec.value("gate", "none")), spec.value("gate_threshold", 0.0)};
  settings.top = spec.value("top", settings.top);
  settings.top_of = spec.value("top_of", "base") == "either" ? fusion::TopOf::either : fusion::TopOf::base;
  settings.slots = spec.value("slots", settings.slots);
  settings.initial_capacity = spec.value("initial_capacity", settings.initial_capacity);
  settings.forced_tokens = spec.value("forced_tokens", settings.forced_tokens);
  settings.forced_logits = spec.value("forced_logits", settings.forced_logits);
  settings.prefill_chunk = spec.value("prefill_chunk", settings.prefill_chunk);
  settings.lag = spec.value("lag", 0);
  setting.source = fusion::fused_source({load_model(folder), setting.tokenizer}, std::move(deltas), settings);
  return setting;
}

std::vector<BaseToken> base_tokens(const Setting& setting, const std::string& text, AddedTokens added) {
  return fusion::tokens_of<BaseToken>(setting.tokenizer->encode(text, added));
}

Json ids_of(const std::vector<BaseToken>& tokens) {
  Json ids = Json::array();
  for (const auto token : tokens) ids.push_back(token.value);
  return ids;
}

// {"delta", "alpha"} of an item, or several as "terms".
fusion::Steering steering_of(const Json& item) {
  fusion::Steering steering;
  for (const auto& term : item.value("terms", Json::array({item})))
    steering.terms.push_back({term.value("delta", int64_t{0}), term.value("alpha", 0.0f)});
  return steering;
}

// What an item's text is in the tokens of each delta of another vocabulary.
std::vector<std::vector<DeltaToken>> in_tokens_of_deltas(const Setting& setting, const std::string& text) {
  std::vector<std::vector<DeltaToken>> all;
  for (const auto& tokenizer : setting.delta_tokenizers) {
    auto& tokens = all.emplace_back();
    if (tokenizer) tokens = fusion::tokens_of<DeltaToken>(tokenizer->encode(text, AddedTokens::as_model));
  }
  return all;
}

Json generate(const Json& spec, Setting& setting) {
  std::vector<decode::GenerationRequest> requests;
  for (const auto& item : spec.at("requests")) {
    decode::GenerationRequest request;
    request.row.prompt = base_tokens(setting, item.at("prompt"), AddedTokens::as_model);
    request.row.steering = steering_of(item);
    request.row.delta_prompts =
        in_tokens_of_deltas(setting, item.value("delta_prompt", item.at("prompt").get<std::string>()));
    request.seed = item.value("seed", uint64_t{0});
    requests.push_back(std::move(request));
  }
  decode::GenerationSettings settings;
  settings.max_new_tokens = spec.at("new");
  settings.end_tokens = spec.value("end_tokens", std::vector<int32_t>{});
  settings.stop_strings = spec.value("stop_strings", std::vector<std::string>{});
  settings.sampling = {spec.value("temperature", 0.0), spec.value("top_p", 1.0)};
  int64_t tokens = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto generated = decode::generate(*setting.source, setting.tokenizer, requests, settings,
                                          [&](const auto& progress) { tokens = progress.tokens; });
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  Json results = Json::array();
  for (const auto& item : generated)
    results.push_back({{"ids", ids_of(item.tokens)}, {"text", item.text}, {"reason", name_of(item.reason)}});
  return {{"results", results}, {"seconds", elapsed.count()}, {"tokens", tokens}};
}

decode::ScoreRequest score_request(const Json& item, const Setting& setting) {
  decode::ScoreRequest request{base_tokens(setting, item.at("prompt"), AddedTokens::as_model),
                               base_tokens(setting, item.at("answer"), AddedTokens::none), steering_of(item)};
  request.deltas.resize(setting.delta_tokenizers.size());
  const auto prompts = item.contains("delta_prompt") ? in_tokens_of_deltas(setting, item.at("delta_prompt"))
                                                     : std::vector<std::vector<DeltaToken>>(request.deltas.size());
  for (size_t d = 0; d < request.deltas.size(); ++d) {
    request.deltas[d].prompt = prompts[d];
    if (!item.contains("delta_answer")) continue;  // read by the deltas in place of the answer
    request.deltas[d].tokens = request.prompt;
    for (const auto token : base_tokens(setting, item.at("delta_answer"), AddedTokens::none))
      request.deltas[d].tokens.push_back(token);
  }
  return request;
}

Json score(const Json& spec, Setting& setting) {
  std::vector<decode::ScoreRequest> requests;
  for (const auto& item : spec.at("pairs")) requests.push_back(score_request(item, setting));
  const auto start = std::chrono::steady_clock::now();
  const auto scores = decode::score(*setting.source, requests);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  Json results = Json::array();
  for (const auto& item : scores)
    results.push_back({{"logprob", item.log_prob}, {"tokens", item.tokens()}, {"each", item.of_each}});
  return {{"results", results}, {"seconds", elapsed.count()}};
}

// The token map of each delta of another vocabulary, as the fused source uses it.
Json maps(const Setting& setting) {
  Json all = Json::array();
  for (const auto& map : setting.maps) {
    Json ids = Json::array(), match = Json::array();
    for (size_t v = 0; map && v < map->ids.size(); ++v) {
      ids.push_back(map->ids[v].value);
      match.push_back(static_cast<int>(map->match[v]));
    }
    Json lists = Json::array();
    for (size_t v = 0; map && v + 1 < map->offsets.size(); ++v) {
      lists.push_back(Json::array());
      for (auto at = map->offsets[v]; at < map->offsets[v + 1]; ++at)
        lists.back().push_back(map->candidates[static_cast<size_t>(at)].value);
    }
    all.push_back({{"ids", ids}, {"match", match}, {"candidates", lists}});
  }
  return all;
}

// {"base", "deltas": [one], "contexts": [[ids of the delta]…]}: [context][base token] log-probability, null: none.
Json byte_exact(const Json& spec, const Setting& setting) {
  const auto folder = spec.at("deltas")[0].at("parts")[0].at("model").get<std::string>();
  const fusion::ByteExact exact(load_model(folder), *setting.delta_tokenizers.at(0), *setting.tokenizer);
  Json all = Json::array();
  for (const auto& context : spec.at("contexts")) all.push_back(exact.log_probs(context.get<std::vector<int32_t>>()));
  return all;
}

}  // namespace
}  // namespace cmc

int main(int argc, char** argv) {
  try {
    cmc::expect(argc == 3, "probe_decode generate|score|maps|byte_exact SPECIFICATION.json");
    const std::string verb = argv[1];
    const auto spec = cmc::read_json(argv[2]);
    auto setting = cmc::setting_of(spec);
    const auto result = verb == "generate"     ? cmc::generate(spec, setting)
                        : verb == "score"      ? cmc::score(spec, setting)
                        : verb == "byte_exact" ? cmc::byte_exact(spec, setting)
                                               : cmc::maps(setting);
    std::cout << result.dump() << "\n";
    return 0;
  } catch (const cmc::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
