// Decoded texts and scores through the whole of fusion and decode, in the same and in another vocabulary.
#include <algorithm>
#include <cmath>

#include "pipeline/decode/generate.hpp"
#include "pipeline/decode/score.hpp"
#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/token_map/token_map.hpp"
#include "stages/bench/made_up_tokenizer.hpp"
#include "tests/cuda/checks.hpp"

namespace cmc::device_checks {
namespace {

constexpr int64_t vocabulary = 300, other_vocabulary = 220;

// A base, and deltas of every kind beside it: same vocabulary, proxy tuning, another vocabulary.
struct World {
  std::shared_ptr<const text::Tokenizer> tokenizer = stages::made_up_tokenizer(vocabulary, 2);
  std::shared_ptr<const text::Tokenizer> other_tokenizer = stages::made_up_tokenizer(other_vocabulary, 3);
  std::shared_ptr<const token_map::TokenMap> map =
      std::make_shared<const token_map::TokenMap>(token_map::make_token_map(
          *tokenizer, *other_tokenizer, token_map::Method::pm_mined, token_map::Compat::corrected));

  std::unique_ptr<fusion::LogitSource> source(torch::Device device, const fusion::FusionSettings& settings) const {
    const auto small = [&](int64_t size, int64_t hidden) {
      return make_model(llama_config(size, hidden, 2, 2, 2, 64, 0.3), torch::kFloat32, device);
    };
    std::vector<fusion::Delta> deltas = {fusion::delta_model(small(vocabulary, 32)),
                                         fusion::proxy_tuning(small(vocabulary, 48), small(vocabulary, 32)),
                                         fusion::delta_model(small(other_vocabulary, 32))};
    deltas.back().tokenizer = other_tokenizer;
    deltas.back().map = map;
    const auto base = make_model(llama_config(vocabulary, 128, 2, 4, 2, 256, 0.3), torch::kFloat32, device);
    return fusion::fused_source({base, tokenizer}, std::move(deltas), settings);
  }
};

std::vector<int32_t> ids_of(int64_t count, uint64_t seed) {
  const auto tokens = some_tokens(count, vocabulary, seed);
  return {tokens.begin(), tokens.end()};
}

// Each of the deltas alone, then two of distinct vocabularies together.
fusion::Steering steering_of(int64_t number, float alpha) {
  if (number == 3) return {{{0, alpha}, {2, -0.5f * alpha}}};
  return {{{number, alpha}}};
}

std::vector<decode::GenerationRequest> requests_of(const World& world, int count) {
  std::vector<decode::GenerationRequest> requests;
  for (int i = 0; i < count; ++i) {
    const auto ids = ids_of(3 + 7 * (i % 4), static_cast<uint64_t>(i));
    decode::GenerationRequest request;
    request.row.prompt = fusion::tokens_of<BaseToken>(ids);
    request.row.delta_prompts = {{},
                                 {},
                                 fusion::tokens_of<DeltaToken>(world.other_tokenizer->encode(
                                     world.tokenizer->decode(ids, text::SpecialText::keep), text::AddedTokens::none))};
    request.row.steering = steering_of(i % 4, 0.5f + 0.25f * static_cast<float>(i % 3));
    request.seed = static_cast<uint64_t>(i);
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace

void check_texts(torch::Device device) {
  const World world;
  struct Setting {
    const char* name;
    fusion::FusionMode mode;
    fusion::Unmapped unmapped;
  };
  for (const auto& [name, mode, unmapped] :
       {Setting{"base normalised", fusion::FusionMode::base_normalized, fusion::Unmapped::zero},
        Setting{"both normalised", fusion::FusionMode::both_normalized, fusion::Unmapped::minimum},
        Setting{"raw sum", fusion::FusionMode::raw_sum, fusion::Unmapped::mean}}) {
    const std::string title = std::string("texts of refilled slots, ") + name;
    guarded(title, [&, mode = mode, unmapped = unmapped] {
      fusion::FusionSettings settings;
      settings.mode = mode;
      settings.unmapped = unmapped;
      settings.slots = 5;
      settings.initial_capacity = 16;  // so that caches grow on the way
      const auto requests = requests_of(world, 16);
      decode::GenerationSettings generation;
      generation.max_new_tokens = 24;
      const auto truth = decode::generate(*world.source(torch::kCPU, settings), world.tokenizer, requests, generation);
      const auto mine = decode::generate(*world.source(device, settings), world.tokenizer, requests, generation);
      int64_t different = 0;
      for (size_t i = 0; i < truth.size(); ++i) different += truth[i].text != mine[i].text;
      report(title + ": sequences that differ", static_cast<double>(different), 0, {{"of", truth.size()}});
    });
  }
}

void check_scores(torch::Device device) {
  const World world;
  std::vector<decode::ScoreRequest> requests;
  for (int i = 0; i < 40; ++i) {
    // Four answers to each prompt, of which neighbours share the beginning.
    const auto prompt = ids_of(10 + i / 4, static_cast<uint64_t>(i / 4)),
               answer = ids_of(1 + i % 9, static_cast<uint64_t>(1000 + i));
    decode::ScoreRequest request{fusion::tokens_of<BaseToken>(prompt), fusion::tokens_of<BaseToken>(answer), {}};
    request.steering = steering_of((i / 4) % 4, 0.75f);
    requests.push_back(std::move(request));
  }
  const auto scores_on = [&](torch::Device where, int64_t tokens, int64_t logits) {
    fusion::FusionSettings settings;
    settings.forced_tokens = tokens;
    settings.forced_logits = logits;
    return decode::score(*world.source(where, settings), requests);
  };
  const auto truth = scores_on(torch::kCPU, 1024, 1 << 24);
  for (const auto& [tokens, logits] : {std::pair<int64_t, int64_t>{0, 0}, {64, 3000}}) {
    const std::string title = tokens == 0 ? "scores, passes as the device has them" : "scores, small passes";
    guarded(title, [&, tokens = tokens, logits = logits] {
      const auto mine = scores_on(device, tokens, logits);
      double worst = 0;
      for (size_t i = 0; i < truth.size(); ++i)
        for (size_t t = 0; t < truth[i].of_each.size(); ++t)
          worst = std::max(worst, static_cast<double>(std::abs(truth[i].of_each[t] - mine[i].of_each.at(t))));
      report(title + ": log-probability of a token (nat)", worst, 1e-4);
    });
  }
}

}  // namespace cmc::device_checks
