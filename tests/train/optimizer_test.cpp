#include "pipeline/train/optimizer.hpp"

#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {

NamedTensors some_parameters() {
  torch::manual_seed(3);
  return {{"matrix", torch::randn({17, 5})}, {"norm", torch::randn({9})}, {"embedding", torch::randn({33, 4})}};
}

void set_gradients(FlatTensors& gradients, int step) {
  torch::manual_seed(100 + step);
  gradients.values().copy_(torch::randn_like(gradients.values()) * 0.3);
}

TEST(AdamW, EqualsPyTorchWithDecayOnMatricesAlone) {
  const NamedTensors ours = some_parameters(), truth = some_parameters();
  AdamW optimizer(ours, {.weight_decay = 0.1});
  FlatTensors gradients(ours, 0);
  using Options = torch::optim::AdamWOptions;
  torch::optim::AdamW decayed({truth[0].second, truth[2].second}, Options(1e-2).weight_decay(0.1));
  torch::optim::AdamW plain({truth[1].second}, Options(1e-2).weight_decay(0.0));
  for (int step = 0; step < 12; ++step) {
    set_gradients(gradients, step);
    for (size_t i = 0; i < truth.size(); ++i) {
      torch::Tensor(truth[i].second).mutable_grad() = gradients.views()[i].clone();
    }
    const double rate = 1e-2 / (step + 1);
    for (auto* each : {&decayed, &plain}) static_cast<Options&>(each->param_groups()[0].options()).lr(rate);
    optimizer.step(gradients, rate);
    decayed.step();
    plain.step();
  }
  EXPECT_EQ(optimizer.steps(), 12);
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_TRUE(torch::allclose(ours[i].second, truth[i].second, 1e-5, 1e-7)) << ours[i].first;
  }
}

TEST(AdamW, GoesOnFromSavedMomentsWithTheSameBits) {
  const NamedTensors straight = some_parameters(), broken = some_parameters();
  AdamW optimizer(straight, {}), before(broken, {}), after(broken, {});
  FlatTensors gradients(straight, 0);
  for (int step = 0; step < 8; ++step) {
    set_gradients(gradients, step);
    optimizer.step(gradients, 1e-3);
    if (step == 5) {
      after.first_moment().flat().copy_(before.first_moment().flat());
      after.second_moment().flat().copy_(before.second_moment().flat());
      after.go_on_behind(before.steps());
    }
    (step < 5 ? before : after).step(gradients, 1e-3);
  }
  for (size_t i = 0; i < straight.size(); ++i) EXPECT_TRUE(torch::equal(straight[i].second, broken[i].second));
}

TEST(AdamW, RefusesWeightsThatAreNotFloat32) {
  EXPECT_THROW(AdamW({{"half", torch::zeros({2}, torch::kBFloat16)}}, {}), BadData);
}

TEST(ClipGradients, EqualsPyTorch) {
  const NamedTensors parameters = some_parameters();
  for (const double limit : {0.5, 1e6}) {
    FlatTensors gradients(parameters, 3);
    set_gradients(gradients, 1);
    gradients.extra().fill_(100.0);
    std::vector<torch::Tensor> truth;
    for (const torch::Tensor& view : gradients.views()) {
      torch::Tensor parameter = torch::zeros_like(view);
      parameter.mutable_grad() = view.clone();
      truth.push_back(parameter);
    }
    const double norm = torch::nn::utils::clip_grad_norm_(truth, limit);
    EXPECT_NEAR(model::TrainedParts().norm(gradients.views()), norm, 1e-6 * norm);
    clip_gradients(gradients, norm, limit);
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_TRUE(torch::allclose(gradients.views()[i], truth[i].grad(), 1e-6, 1e-9));
    }
    EXPECT_EQ(gradients.extra().sum().item<float>(), 300.0f) << "what follows the gradients is not clipped";
  }
}

TEST(ClipGradients, ZeroLeavesThem) {
  FlatTensors gradients(some_parameters(), 0);
  gradients.flat().fill_(2.0);
  clip_gradients(gradients, 1e6, 0);
  EXPECT_EQ(gradients.flat().max().item<float>(), 2.0f);
}

}  // namespace
}  // namespace cmc::train
