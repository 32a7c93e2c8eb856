#include "stages/serving/served_model.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "pipeline/decode/score.hpp"
#include "pipeline/text/prompt_template.hpp"

namespace cmc::stages {
namespace {

// Places of the pairs, those that begin alike side by side.
std::vector<size_t> in_order_of_tokens(std::span<const TextPair> pairs) {
  std::vector<size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {},
                           [&](size_t i) -> std::tuple<const std::vector<int32_t>&, const std::vector<int32_t>&> {
                             return {pairs[i].context, pairs[i].continuation};
                           });
  return order;
}

decode::GenerationRequest request_of(const Continuation& asked, const ServedModel& model) {
  decode::GenerationRequest request;
  request.seed = asked.seed;
  request.row.prompt = fusion::tokens_of<BaseToken>(asked.prompt.context);
  request.row.steering = model.steering;
  for (const auto& tokenizer : model.delta_tokenizers) {
    auto& read = request.row.delta_prompts.emplace_back();
    if (!tokenizer) continue;
    const auto text = model.tokenizer->decode(asked.prompt.context, text::SpecialText::skip);
    read = fusion::tokens_of<DeltaToken>(text::fixed_prompt(text::PromptStyle::plain).tokens(text, *tokenizer));
  }
  return request;
}

}  // namespace

std::vector<LogLikelihood> log_likelihoods(const ServedModel& model, std::span<const TextPair> pairs,
                                           const KeepOn& keep_on) {
  const auto order = in_order_of_tokens(pairs);
  std::vector<decode::ScoreRequest> requests;
  for (const size_t i : order)
    requests.push_back({fusion::tokens_of<BaseToken>(pairs[i].context),
                        fusion::tokens_of<BaseToken>(pairs[i].continuation),
                        model.steering,
                        {},
                        true});
  const auto scores = decode::score(*model.source, requests, [&](const decode::ScoreProgress&) { keep_on(); });
  std::vector<LogLikelihood> all(pairs.size());
  for (size_t k = 0; k < order.size(); ++k)
    all[order[k]] = {scores[k].log_prob, std::ranges::all_of(scores[k].vocabulary.best, [](int32_t is) { return is; })};
  return all;
}

std::vector<decode::Generated> continuations(const ServedModel& model, std::span<const Continuation> asked,
                                             const KeepOn& keep_on) {
  using Key = std::tuple<int64_t, std::vector<int32_t>, std::vector<std::string>, double, double>;
  std::map<Key, std::vector<size_t>> groups;
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto& s = asked[i].settings;
    groups[{s.max_new_tokens, s.end_tokens, s.stop_strings, s.sampling.temperature, s.sampling.top_p}].push_back(i);
  }
  std::vector<decode::Generated> all(asked.size());
  for (const auto& [key, members] : groups) {
    std::vector<decode::GenerationRequest> requests;
    for (const size_t i : members) requests.push_back(request_of(asked[i], model));
    auto settings = asked[members.front()].settings;
    settings.end_tokens.insert(settings.end_tokens.end(), model.end_tokens.begin(), model.end_tokens.end());
    auto texts = decode::generate(*model.source, model.tokenizer, requests, settings,
                                  [&](const decode::GenerationProgress&) { keep_on(); });
    for (size_t k = 0; k < members.size(); ++k) all[members[k]] = std::move(texts[k]);
  }
  return all;
}

}  // namespace cmc::stages
