#include "pipeline/fusion/step_runner.hpp"

#include <gtest/gtest.h>

#include "pipeline/core/error.hpp"
#include "pipeline/model/op_path.hpp"
#include "tests/fusion/steered_world.hpp"
#include "tests/model/split_over_threads.hpp"

namespace cmc::fusion {
namespace {

using model::OpPath;

// How a source may go about it; what it writes is the same.
struct Way {
  OpPath path;
  int64_t slots, chunk, lag;
  bool graphs;
};

std::ostream& operator<<(std::ostream& out, const Way& way) {
  return out << "path " << static_cast<int>(way.path) << ", " << way.slots << " slots, chunk " << way.chunk << ", lag "
             << way.lag << (way.graphs ? ", graphs" : "");
}

FusionSettings settings_of(const Way& way, FusionMode mode, int64_t top = 0, Unmapped unmapped = Unmapped::zero) {
  return {mode, way.slots, 4, 64, 1024, top, unmapped, {}, way.chunk, way.lag, way.graphs};
}

constexpr Way plainest{OpPath::cpu_kernels, 1, 1000, 0, false};

std::vector<std::vector<BaseToken>> texts(const SteeredWorld& world, const FusionSettings& settings, OpPath path,
                                          const Sampling& sampling) {
  const model::ForcedPath forced(path);
  const auto source = fused_source(world.base, world.deltas, settings);
  return continuations(*source, world.rows(11), 9, sampling);
}

// [V] what a model says after `ids`, read at once without a cache.
torch::Tensor fresh(const model::DecoderModel& model, const std::vector<int32_t>& ids) {
  const torch::NoGradGuard no_gradients;
  const std::vector<int64_t> tokens(ids.begin(), ids.end());
  const auto states = model.hidden(
      {torch::tensor(tokens, torch::kInt64), {{0, static_cast<int64_t>(ids.size())}}, {}, {}, {}, {}}, nullptr);
  return model.logits(states.slice(0, -1)).squeeze(0);
}

// The published algorithm for one row, written out: no cache, no batch, everything read again for each token.
std::vector<BaseToken> by_definition(const SteeredWorld& world, const Row& row, size_t length) {
  std::vector<int32_t> context, generated, delta_context;
  for (const auto token : row.prompt) context.push_back(token.value);
  for (const auto token : row.delta_prompts[2]) delta_context.push_back(token.value);
  const size_t prompt = delta_context.size();
  std::vector<BaseToken> text;
  while (text.size() < length) {
    auto scores = fresh(*world.base.model, context).log_softmax(0);
    for (const auto& term : row.steering.terms) {
      const auto& delta = world.deltas[static_cast<size_t>(term.delta)];
      if (delta.contrast) {
        std::vector<int32_t> other = {row.delta_prompts.back().front().value};
        other.insert(other.end(), generated.begin(), generated.end());
        scores += term.alpha * (fresh(*world.base.model, context) - fresh(*world.base.model, other));
        continue;
      }
      for (const auto& part : delta.parts) {
        const auto shift = fresh(*part.model, delta.map ? delta_context : context) * part.weight * term.alpha;
        for (int64_t v = 0; v < SteeredWorld::vocabulary; ++v) {
          const auto id = delta.map ? delta.map->ids[static_cast<size_t>(v)].value : static_cast<int32_t>(v);
          if (id >= 0) scores[v] += shift[id];
        }
      }
    }
    const BaseToken token{static_cast<int32_t>(scores.argmax().item<int64_t>())};
    text.push_back(token);
    context.push_back(token.value);
    generated.push_back(token.value);
    if (world.map->match[static_cast<size_t>(token.value)] == token_map::Match::exact) {
      delta_context.push_back((*world.map)[token].value);
    } else {
      delta_context.resize(prompt);
      const auto again = world.delta_text->encode(world.base.tokenizer->decode(generated, text::SpecialText::skip),
                                                  text::AddedTokens::none);
      delta_context.insert(delta_context.end(), again.begin(), again.end());
    }
  }
  return text;
}

const std::vector<Way> ways{{OpPath::cpu_kernels, 4, 0, 0, false},   {OpPath::cpu_kernels, 3, 5, 1, false},
                            {OpPath::torch, 1, 0, 0, false},         {OpPath::torch, 5, 3, 1, false},
                            {OpPath::torch, 3, 7, 1, true},          {OpPath::torch, 6, 0, 2, true},
                            {OpPath::device_kernels, 3, 4, 1, true}, {OpPath::device_kernels, 5, 0, 0, false}};

}  // namespace

TEST(StepRunner, GreedyTextsAreThePublishedAlgorithmsWhateverTheWay) {
  const SteeredWorld world;
  const auto rows = world.rows(11);
  std::vector<std::vector<BaseToken>> expected;
  for (const auto& row : rows) expected.push_back(by_definition(world, row, 9));
  EXPECT_EQ(texts(world, settings_of(plainest, FusionMode::base_normalized), plainest.path, {}), expected);
  for (const auto& way : ways)
    EXPECT_EQ(texts(world, settings_of(way, FusionMode::base_normalized), way.path, {}), expected) << way;
}

TEST(StepRunner, DrawnTextsDependOnNumbersAloneWhateverTheWay) {
  const SteeredWorld world;
  for (const Sampling sampling : {Sampling{1.0, 1.0}, Sampling{1.5, 0.8}}) {
    const auto expected = texts(world, settings_of(plainest, FusionMode::base_normalized), plainest.path, sampling);
    for (const auto& way : ways)
      EXPECT_EQ(texts(world, settings_of(way, FusionMode::base_normalized), way.path, sampling), expected) << way;
  }
}

TEST(StepRunner, EveryModeAndVariantOfTheMapIsTheSameOnEveryPath) {
  for (const auto lists : {SteeredWorld::Lists::none, SteeredWorld::Lists::one_to_many}) {
    const SteeredWorld world(lists);
    for (const auto mode : {FusionMode::base_normalized, FusionMode::both_normalized, FusionMode::raw_sum})
      for (const int64_t top : {0, 3})
        for (const auto unmapped : {Unmapped::zero, Unmapped::minimum, Unmapped::mean}) {
          const auto expected = texts(world, settings_of(plainest, mode, top, unmapped), plainest.path, {});
          for (const size_t number : {4, 6}) {
            const auto& way = ways[number];
            EXPECT_EQ(texts(world, settings_of(way, mode, top, unmapped), way.path, {}), expected)
                << way << ", " << name_of(mode) << ", top " << top << ", " << name_of(unmapped);
          }
        }
  }
}

// The same tokens given to all paths: what they say before each is equal to 1e-5.
TEST(StepRunner, LogProbabilitiesEqualTheCpuKernels) {
  const SteeredWorld world;
  const auto rows = world.rows(5);
  const std::vector<int64_t> slots{3, 0, 4, 1, 2};
  for (const auto mode : {FusionMode::base_normalized, FusionMode::both_normalized, FusionMode::raw_sum}) {
    std::vector<std::vector<torch::Tensor>> said;
    for (const auto path : {OpPath::cpu_kernels, OpPath::torch, OpPath::device_kernels}) {
      const model::ForcedPath forced(path);
      const FusionSettings settings = settings_of({path, 5, 0, 0, false}, mode);
      SteeredContexts contexts(world.base, world.deltas, settings);
      StepRunner runner(contexts, settings);
      Random random(17);
      for (size_t i = 0; i < rows.size(); ++i) contexts.open(static_cast<int64_t>(i), rows[i]);
      said.emplace_back();
      for (int step = 0; step < 8; ++step) {
        const auto logits = runner.read(slots).logits;
        const torch::NoGradGuard no_gradients;
        said.back().push_back(logits.log_probs());
        std::vector<BaseToken> tokens;
        for (const int64_t slot : slots) {
          tokens.push_back({static_cast<int32_t>(random.below(SteeredWorld::vocabulary - 1))});
          contexts.append(slot, tokens.back());
        }
        said.back().push_back(logits.log_prob_of(tokens));
      }
    }
    for (size_t path = 1; path < said.size(); ++path)
      for (size_t i = 0; i < said[0].size(); ++i)
        EXPECT_TRUE(torch::allclose(said[path][i], said[0][i], 1e-5, 1e-5)) << name_of(mode) << " " << path << " " << i;
  }
}

// The base split over two ranks, each of which has the deltas whole and chooses for itself, as tensor-parallel targets
// run.
TEST(StepRunner, OverTwoRanksTheTextsAreTheSame) {
  const SteeredWorld whole;
  const auto expected = texts(whole, settings_of(plainest, FusionMode::base_normalized), plainest.path, {});
  for (const size_t number : {0, 1, 3, 4, 6}) {
    const auto& way = ways[number];
    std::vector<std::vector<std::vector<BaseToken>>> of_ranks(2);
    model::split_over_threads(*whole.base.model, [&](int rank, const model::DecoderModel& part) {
      SteeredWorld mine;
      mine.base.model = std::make_shared<const model::DecoderModel>(part);
      mine.deltas.back() = contrast_with(mine.base.model);
      of_ranks[static_cast<size_t>(rank)] = texts(mine, settings_of(way, FusionMode::base_normalized), way.path, {});
    });
    for (const auto& mine : of_ranks) EXPECT_EQ(mine, expected) << way;
  }
}

// A delta that knows fewer tokens than the base is not fed one that it does not know.
TEST(StepRunner, ATokenThatADeltaDoesNotKnowIsRefusedByName) {
  for (const int64_t lag : {0, 1}) {
    FusionSettings settings;
    settings.slots = 1;
    settings.lag = lag;
    const auto source = fused_source({tiny_llama(24, 1), nullptr}, {delta_model(tiny_llama(5, 2))}, settings);
    const std::vector<Turn> turn{{0, 0.999}};
    const auto decode = [&] {
      source->open(0, {{{3}}, {}, {{{0, 1e-6f}}}});
      for (int step = 0; step < 30; ++step) source->step(turn, {5.0, 1.0});
    };
    EXPECT_THROW(decode(), BadData);
  }
}

TEST(StepGraph, RepeatsItsWorkOnWhatTheTensorsHoldByThen) {
  auto in = torch::zeros({2}), out = torch::zeros({2});
  StepGraph graph(torch::kCPU, [=]() mutable { out.copy_(in * 2); });
  for (const double value : {1.0, 2.0, 3.0, 4.0}) {
    in.fill_(value);
    graph.run();
    EXPECT_EQ(out[1].item<float>(), 2 * value);
  }
}

}  // namespace cmc::fusion
