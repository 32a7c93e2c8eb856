#include "pipeline/train/loss.hpp"

#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using torch::Tensor;

// A problem with a template, a second frozen term of opposite sign, and weights of both signs.
struct Problem {
  LossInput input;

  Problem(int64_t tokens, int64_t vocabulary, torch::Dtype dtype, int frozen_terms) {
    torch::manual_seed(7);
    const auto options = torch::dtype(dtype);
    for (int i = 0; i < frozen_terms; ++i) {
      const int64_t width = 12 + 4 * i;
      input.frozen.push_back(
          {torch::randn({tokens, width}, options), torch::randn({vocabulary, width}, options), i == 0 ? 1.0 : -0.7});
    }
    input.trained = {torch::randn({tokens, 8}, options).requires_grad_(true),
                     torch::randn({vocabulary, 8}, options).requires_grad_(true), 0.8};
    input.labels = torch::randint(vocabulary, {tokens}, torch::kLong);
    input.weights = torch::randn({tokens}, options);
  }

  // The straightforward way: all logits at once, PyTorch's own cross-entropy and autograd. `normalise` applies
  // log_softmax to the template's logits, as the default fusion mode does.
  Tensor naive(bool normalise) const {
    Tensor logits;
    const auto add = [&](const LogitTerm& term, bool normalised) {
      Tensor own = torch::mm(term.hidden, term.weight.t());
      if (term.final_softcap > 0) own = torch::tanh(own / term.final_softcap) * term.final_softcap;
      if (normalised) own = torch::log_softmax(own, 1);
      logits = logits.defined() ? logits + term.coefficient * own : term.coefficient * own;
    };
    for (const LogitTerm& term : input.frozen) add(term, normalise);
    add(input.trained, false);
    return (torch::cross_entropy_loss(logits, input.labels, {}, at::Reduction::None) * input.weights).sum();
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

void expect_equals_naive(const Problem& problem, bool normalise, double tolerance) {
  const LossOutput output = fused_cross_entropy(problem.input);
  const Tensor truth = problem.naive(normalise);
  expect_near(output.loss, truth, tolerance);
  const auto [hidden, weight] = problem.gradients(output.loss);
  const auto [true_hidden, true_weight] = problem.gradients(truth);
  expect_near(hidden, true_hidden, tolerance);
  expect_near(weight, true_weight, tolerance);
}

TEST(FusedCrossEntropy, EqualsNaiveLossAndGradient) {
  for (const int frozen : {0, 1, 2}) {
    expect_equals_naive(Problem(37, 211, torch::kFloat64, frozen), false, 1e-12);
    expect_equals_naive(Problem(37, 211, torch::kFloat32, frozen), false, 2e-5);
  }
}

TEST(FusedCrossEntropy, NormalisingTheTemplateChangesNothing) {
  expect_equals_naive(Problem(37, 211, torch::kFloat64, 2), true, 1e-12);
}

TEST(FusedCrossEntropy, SoftcapsBothModels) {
  Problem problem(21, 101, torch::kFloat64, 1);
  problem.input.frozen[0].final_softcap = 3.0;
  problem.input.trained.final_softcap = 2.0;
  expect_equals_naive(problem, false, 1e-12);
}

TEST(FusedCrossEntropy, ScalesWithUpstreamGradient) {
  const Problem problem(11, 31, torch::kFloat64, 1);
  const auto [hidden, weight] = problem.gradients(fused_cross_entropy(problem.input).loss * -2.5);
  const auto [true_hidden, true_weight] = problem.gradients(problem.naive(false) * -2.5);
  expect_near(hidden, true_hidden, 1e-12);
  expect_near(weight, true_weight, 1e-12);
}

TEST(FusedCrossEntropy, AddsTheWeightsGradientWhereItIsTold) {
  Problem problem(11, 31, torch::kFloat64, 1);
  const auto [true_hidden, true_weight] = problem.gradients(problem.naive(false));
  const Tensor before = torch::randn_like(true_weight);
  problem.input.weight_gradient = before.clone();
  fused_cross_entropy(problem.input).loss.backward();
  expect_near(problem.input.weight_gradient, before + true_weight, 1e-12);
  expect_near(problem.input.trained.hidden.grad(), true_hidden, 1e-12);
  EXPECT_FALSE(problem.input.trained.weight.grad().defined());
}

TEST(FusedCrossEntropy, ChunkSizeDoesNotChangeTheLoss) {
  Problem problem(64, 97, torch::kFloat32, 1);
  problem.input.memory_bytes = int64_t{1} << 30;
  const LossOutput whole = fused_cross_entropy(problem.input);
  const auto [hidden, weight] = problem.gradients(whole.loss);
  for (const int64_t rows : {1, 3, 63}) {
    problem.input.memory_bytes = rows * 97 * 4;
    const LossOutput chunked = fused_cross_entropy(problem.input);
    const auto [chunk_hidden, chunk_weight] = problem.gradients(chunked.loss);
    expect_near(chunked.token_loss, whole.token_loss, 1e-6);
    expect_near(chunked.loss, whole.loss, 1e-5);
    expect_near(chunk_hidden, hidden, 1e-6);
    expect_near(chunk_weight, weight, 1e-5);
  }
}

TEST(FusedCrossEntropy, GradientPassesFiniteDifferences) {
  Problem problem(5, 13, torch::kFloat64, 1);
  const auto [hidden, weight] = problem.gradients(fused_cross_entropy(problem.input).loss);
  const double step = 1e-6;
  const auto check = [&](Tensor values, const Tensor& gradient) {
    Tensor flat = values.detach().view({-1});
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const torch::NoGradGuard no_grad;
      const double at = flat[i].item<double>();
      flat[i] = at + step;
      const double above = fused_cross_entropy(problem.input).loss.item<double>();
      flat[i] = at - step;
      const double below = fused_cross_entropy(problem.input).loss.item<double>();
      flat[i] = at;
      EXPECT_NEAR(gradient.view({-1})[i].item<double>(), (above - below) / (2 * step), 1e-6);
    }
  };
  check(problem.input.trained.hidden, hidden);
  check(problem.input.trained.weight, weight);
}

// A token the model finds impossible has a large loss, not an infinite one.
TEST(FusedCrossEntropy, StaysFiniteWhereTheProbabilityUnderflows) {
  LossInput input;
  input.trained.hidden = torch::full({1, 1}, 500.0f).requires_grad_(true);
  input.trained.weight = torch::tensor({{1.0f}, {-1.0f}});
  input.labels = torch::tensor({int64_t{1}});
  input.weights = torch::ones({1});
  const LossOutput output = fused_cross_entropy(input);
  EXPECT_FLOAT_EQ(output.loss.item<float>(), 1000.0f);
  output.loss.backward();
  EXPECT_FLOAT_EQ(input.trained.hidden.grad().item<float>(), 2.0f);
}

TEST(FusedCrossEntropy, Bfloat16TemplateIsCloseToFloat32) {
  Problem problem(16, 64, torch::kFloat32, 1);
  LogitTerm& frozen = problem.input.frozen[0];
  frozen.hidden = frozen.hidden.to(torch::kBFloat16);
  frozen.weight = frozen.weight.to(torch::kBFloat16);
  const double ours = fused_cross_entropy(problem.input).loss.item<double>();
  frozen.hidden = frozen.hidden.to(torch::kFloat32);
  frozen.weight = frozen.weight.to(torch::kFloat32);
  EXPECT_NEAR(ours, problem.naive(false).item<double>(), 0.1);
}

TEST(FusedCrossEntropy, RefusesWhatDoesNotFit) {
  Problem problem(8, 16, torch::kFloat32, 1);
  problem.input.labels[3] = 16;
  EXPECT_THROW(fused_cross_entropy(problem.input), Internal);
  problem.input.labels[3] = -100;
  EXPECT_THROW(fused_cross_entropy(problem.input), Internal);
  Problem other(8, 16, torch::kFloat32, 1);
  other.input.frozen[0].weight = torch::randn({17, 12});
  EXPECT_THROW(fused_cross_entropy(other.input), Internal);
}

// Adds up every allocation while it is the process's CPU allocator.
class CountingAllocator : public c10::Allocator {
 public:
  CountingAllocator() : inner_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, 255); }
  ~CountingAllocator() override { c10::SetCPUAllocator(inner_, 255); }
  c10::DataPtr allocate(size_t bytes) override {
    total_ += bytes;
    return inner_->allocate(bytes);
  }
  void copy_data(void* to, const void* from, size_t count) const override { inner_->copy_data(to, from, count); }
  size_t total() const { return total_; }

 private:
  c10::Allocator* inner_;
  std::atomic<size_t> total_ = 0;
};

TEST(FusedCrossEntropy, MemoryDoesNotGrowWithTokensTimesVocabulary) {
  const int64_t vocabulary = 20000;
  const auto allocated = [&](int64_t tokens) {
    Problem problem(tokens, vocabulary, torch::kFloat32, 1);
    problem.input.memory_bytes = int64_t{1} << 20;
    const CountingAllocator counter;
    fused_cross_entropy(problem.input).loss.backward();
    return static_cast<int64_t>(counter.total());
  };
  const int64_t small = allocated(16), large = allocated(512);
  EXPECT_GT(small, 0);
  EXPECT_LT(large - small, 512 * vocabulary * 4 / 10);
}

}  // namespace
}  // namespace cmc::train
