#include "pipeline/train/divergence.hpp"

#include <gtest/gtest.h>

#include <torch/csrc/autograd/autograd.h>
#include <cmath>

#include "pipeline/core/error.hpp"
#include "pipeline/train/loss.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

struct Problem {
  DivergenceInput input;

  Problem(int64_t tokens, int64_t vocabulary, torch::Dtype dtype, int frozen_terms) {
    torch::manual_seed(5);
    const auto options = torch::dtype(dtype);
    const auto term = [&](int64_t width, double coefficient) {
      return LogitTerm{torch::randn({tokens, width}, options), torch::randn({vocabulary, width}, options), coefficient};
    };
    for (int i = 0; i < frozen_terms; ++i) input.frozen.push_back(term(12 + 4 * i, i == 0 ? 1.0 : -0.7));
    input.reference = term(6, 0.8);
    input.trained = term(8, 0.8);
    input.trained.hidden.requires_grad_(true);
    input.trained.weight.requires_grad_(true);
    input.weights = torch::randn({tokens}, options);
  }

  Tensor log_probabilities(const LogitTerm& own) const {
    Tensor logits;
    std::vector<LogitTerm> terms = input.frozen;
    terms.push_back(own);
    for (const LogitTerm& each : terms) {
      Tensor part = torch::mm(each.hidden, each.weight.t());
      if (each.final_softcap > 0) part = torch::tanh(part / each.final_softcap) * each.final_softcap;
      logits = logits.defined() ? logits + each.coefficient * part : each.coefficient * part;
    }
    return torch::log_softmax(logits, 1);
  }

  // TOFU's published call, kl_div(current, oracle, log_target=True), a row at a time.
  Tensor naive() const {
    const Tensor now = log_probabilities(input.trained);
    const Tensor before = input.reference ? log_probabilities(*input.reference).detach()
                                          : torch::full_like(now, -std::log(static_cast<double>(now.size(1))));
    const Tensor each = torch::kl_div(now, before, at::Reduction::None, true);
    return (each.sum(1) * input.weights).sum();
  }

  std::pair<Tensor, Tensor> gradients(const Tensor& loss) const {
    const auto both = torch::autograd::grad({loss}, {input.trained.hidden, input.trained.weight});
    return {both[0], both[1]};
  }
};

void expect_near(const Tensor& ours, const Tensor& truth, double tolerance) {
  const double scale = truth.abs().max().item<double>();
  EXPECT_LE((ours - truth).abs().max().item<double>(), tolerance * scale);
}

void expect_equals_naive(const Problem& problem, double tolerance) {
  const DivergenceOutput output = fused_divergence(problem.input);
  const Tensor truth = problem.naive();
  expect_near(output.loss, truth, tolerance);
  const auto [hidden, weight] = problem.gradients(output.loss * -1.5);
  const auto [true_hidden, true_weight] = problem.gradients(truth * -1.5);
  expect_near(hidden, true_hidden, tolerance);
  expect_near(weight, true_weight, tolerance);
}

TEST(FusedDivergence, EqualsNaiveLossAndGradient) {
  for (const int frozen : {0, 1, 2}) {
    expect_equals_naive(Problem(37, 211, torch::kFloat64, frozen), 1e-12);
    expect_equals_naive(Problem(37, 211, torch::kFloat32, frozen), 5e-5);
  }
}

TEST(FusedDivergence, IsFromTheUniformDistributionWithoutAReference) {
  for (const int frozen : {0, 1}) {
    Problem problem(37, 211, torch::kFloat64, frozen);
    problem.input.reference.reset();
    expect_equals_naive(problem, 1e-12);
  }
}

TEST(FusedDivergence, SoftcapsEachModel) {
  Problem problem(21, 101, torch::kFloat64, 1);
  problem.input.frozen[0].final_softcap = 3.0;
  problem.input.reference->final_softcap = 1.5;
  problem.input.trained.final_softcap = 2.0;
  expect_equals_naive(problem, 1e-12);
}

TEST(FusedDivergence, OfEqualDistributionsIsZeroAndPullsNowhere) {
  for (const int frozen : {0, 1}) {
    Problem problem(9, 50, torch::kFloat32, frozen);
    problem.input.reference = problem.input.trained;
    const DivergenceOutput output = fused_divergence(problem.input);
    EXPECT_EQ(output.token_divergence.abs().max().item<float>(), 0.0f);
    const auto [hidden, weight] = problem.gradients(output.loss);
    EXPECT_EQ(hidden.abs().max().item<float>(), 0.0f);
    EXPECT_EQ(weight.abs().max().item<float>(), 0.0f);
  }
}

TEST(FusedDivergence, ChunkSizeDoesNotChangeIt) {
  Problem problem(64, 97, torch::kFloat64, 1);
  const DivergenceOutput whole = fused_divergence(problem.input);
  const auto [hidden, weight] = problem.gradients(whole.loss);
  for (const int64_t rows : {1, 3, 63}) {
    problem.input.memory_bytes = rows * 97 * 8 * 2;
    const DivergenceOutput chunked = fused_divergence(problem.input);
    const auto [chunk_hidden, chunk_weight] = problem.gradients(chunked.loss);
    expect_near(chunked.token_divergence, whole.token_divergence, 1e-12);
    expect_near(chunk_hidden, hidden, 1e-12);
    expect_near(chunk_weight, weight, 1e-12);
  }
}

TEST(FusedDivergence, AddsTheWeightsGradientWhereItIsTold) {
  Problem problem(11, 31, torch::kFloat64, 1);
  const auto [true_hidden, true_weight] = problem.gradients(problem.naive());
  const Tensor before = torch::randn_like(true_weight);
  problem.input.weight_gradient = before.clone();
  fused_divergence(problem.input).loss.backward();
  expect_near(problem.input.weight_gradient, before + true_weight, 1e-12);
  expect_near(problem.input.trained.hidden.grad(), true_hidden, 1e-12);
}

TEST(FusedDivergence, GradientPassesFiniteDifferences) {
  Problem problem(5, 13, torch::kFloat64, 1);
  const auto [hidden, weight] = problem.gradients(fused_divergence(problem.input).loss);
  const double step = 1e-6;
  const auto check = [&](Tensor values, const Tensor& gradient) {
    Tensor flat = values.detach().view({-1});
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const torch::NoGradGuard no_grad;
      const double at = flat[i].item<double>();
      flat[i] = at + step;
      const double above = fused_divergence(problem.input).loss.item<double>();
      flat[i] = at - step;
      const double below = fused_divergence(problem.input).loss.item<double>();
      flat[i] = at;
      EXPECT_NEAR(gradient.view({-1})[i].item<double>(), (above - below) / (2 * step), 1e-6);
    }
  };
  check(problem.input.trained.hidden, hidden);
  check(problem.input.trained.weight, weight);
}

TEST(FusedDivergence, RefusesWhatDoesNotFit) {
  Problem problem(8, 16, torch::kFloat32, 1);
  problem.input.reference->hidden = torch::randn({7, 6});
  EXPECT_THROW(fused_divergence(problem.input), Internal);
  Problem other(8, 16, torch::kFloat32, 1);
  other.input.reference->weight = torch::randn({17, 6});
  EXPECT_THROW(fused_divergence(other.input), Internal);
}

}  // namespace
}  // namespace cmc::train
