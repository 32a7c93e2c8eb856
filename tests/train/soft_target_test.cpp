#include "pipeline/train/soft_target.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "pipeline/core/error.hpp"
#include "pipeline/train/loss.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

constexpr double infinite = std::numeric_limits<double>::infinity();

struct Problem {
  SoftTargetInput input;

  Problem(int64_t tokens, int64_t vocabulary, torch::Dtype dtype, int frozen_terms, bool teacher, double penalty) {
    torch::manual_seed(5);
    const auto options = torch::dtype(dtype);
    const auto term = [&](int64_t width, double coefficient) {
      return LogitTerm{torch::randn({tokens, width}, options), torch::randn({vocabulary, width}, options), coefficient};
    };
    for (int i = 0; i < frozen_terms; ++i) input.frozen.push_back(term(12 + 4 * i, i == 0 ? 1.0 : -0.7));
    if (teacher) input.teacher = term(6, 0.8);
    input.penalty = penalty;
    input.trained = term(8, 0.8);
    input.trained.hidden.requires_grad_(true);
    input.trained.weight.requires_grad_(true);
    input.weights = torch::randn({tokens}, options);
    input.labels = torch::randint(vocabulary, {tokens}, torch::kLong);
  }

  Tensor logits(const LogitTerm& own) const {
    Tensor logits;
    std::vector<LogitTerm> terms = input.frozen;
    terms.push_back(own);
    for (const LogitTerm& each : terms) {
      Tensor part = torch::mm(each.hidden, each.weight.t());
      if (each.final_softcap > 0) part = torch::tanh(part / each.final_softcap) * each.final_softcap;
      logits = logits.defined() ? logits + each.coefficient * part : each.coefficient * part;
    }
    return logits;
  }

  // As open-unlearning's compute_undial_loss and cross_entropy_unlearning_loss: a target with probabilities.
  Tensor naive_losses() const {
    const Tensor now = logits(input.trained);
    Tensor aim = (input.teacher ? logits(*input.teacher) : now).detach().clone();
    const Tensor index = input.labels.unsqueeze(1);
    aim = input.penalty == infinite ? aim.scatter(1, index, -infinite)
                                    : aim - input.penalty * torch::zeros_like(aim).scatter(1, index, 1.0);
    return torch::cross_entropy_loss(now, aim.softmax(1), {}, at::Reduction::None);
  }
  Tensor naive() const { return (naive_losses() * input.weights).sum(); }

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
  const SoftTargetOutput output = fused_soft_target(problem.input);
  const Tensor truth = problem.naive();
  expect_near(output.loss, truth, tolerance);
  expect_near(output.token_loss, problem.naive_losses(), tolerance);
  const Tensor of_label =
      torch::cross_entropy_loss(problem.logits(problem.input.trained), problem.input.labels, {}, at::Reduction::None);
  expect_near(output.label_loss, of_label, tolerance);
  const auto [hidden, weight] = problem.gradients(output.loss * -1.5);
  const auto [true_hidden, true_weight] = problem.gradients(truth * -1.5);
  expect_near(hidden, true_hidden, tolerance);
  expect_near(weight, true_weight, tolerance);
}

TEST(FusedSoftTarget, EqualsNaiveLossAndGradient) {
  for (const int frozen : {0, 1, 2})
    for (const bool teacher : {false, true})
      for (const double penalty : {0.0, 3.0, infinite}) {
        if (!teacher && penalty == 0) continue;  // below: nothing pulls
        expect_equals_naive(Problem(37, 211, torch::kFloat64, frozen, teacher, penalty), 1e-11);
        expect_equals_naive(Problem(37, 211, torch::kFloat32, frozen, teacher, penalty), 1e-4);
      }
}

TEST(FusedSoftTarget, SoftcapsEachModel) {
  Problem problem(21, 101, torch::kFloat64, 1, true, 4.0);
  problem.input.frozen[0].final_softcap = 3.0;
  problem.input.teacher->final_softcap = 1.5;
  problem.input.trained.final_softcap = 2.0;
  expect_equals_naive(problem, 1e-11);
}

// Without a penalty the model's own distribution pulls nowhere.
TEST(FusedSoftTarget, ItsOwnDistributionPullsNowhere) {
  const Problem problem(9, 50, torch::kFloat64, 1, false, 0.0);
  const auto [hidden, weight] = problem.gradients(fused_soft_target(problem.input).loss);
  EXPECT_LT(hidden.abs().max().item<double>(), 1e-14);
  EXPECT_LT(weight.abs().max().item<double>(), 1e-14);
}

TEST(FusedSoftTarget, ChunkSizeDoesNotChangeIt) {
  Problem problem(64, 97, torch::kFloat64, 1, true, 2.0);
  const SoftTargetOutput whole = fused_soft_target(problem.input);
  const auto [hidden, weight] = problem.gradients(whole.loss);
  for (const int64_t rows : {1, 3, 63}) {
    problem.input.memory_bytes = rows * 97 * 8 * 2;
    const SoftTargetOutput chunked = fused_soft_target(problem.input);
    const auto [chunk_hidden, chunk_weight] = problem.gradients(chunked.loss);
    expect_near(chunked.token_loss, whole.token_loss, 1e-12);
    expect_near(chunked.label_loss, whole.label_loss, 1e-12);
    expect_near(chunk_hidden, hidden, 1e-12);
    expect_near(chunk_weight, weight, 1e-12);
  }
}

TEST(FusedSoftTarget, ShapesThatDoNotFitAreRefused) {
  Problem problem(5, 11, torch::kFloat64, 0, true, 1.0);
  problem.input.labels = problem.input.labels.narrow(0, 0, 4);
  EXPECT_THROW(fused_soft_target(problem.input), Internal);
}

}  // namespace
}  // namespace cmc::train
