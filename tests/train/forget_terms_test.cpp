#include "pipeline/train/forget_terms.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using Examples = ObjectiveParts::Examples;
using torch::Tensor;

TEST(PreferenceLosses, EqualPyTorch) {
  for (const double beta : {0.1, 0.5, 3.0}) {
    for (const double at : {-1000.0, -30.0, -1.0, 0.0, 0.2, 40.0, 1000.0}) {
      const Tensor ratio = torch::tensor(at, torch::kFloat64).requires_grad_(true);
      const Tensor dpo = -torch::log_sigmoid(beta * ratio), npo = -torch::log_sigmoid(-beta * ratio) * 2 / beta;
      const auto expect_equal = [&](const PreferenceLoss& ours, const Tensor& truth) {
        const double slope = torch::autograd::grad({truth}, {ratio})[0].item<double>();
        EXPECT_NEAR(ours.value, truth.item<double>(), 1e-12 * std::max(1.0, std::abs(truth.item<double>())));
        EXPECT_NEAR(ours.slope, slope, 1e-12 * std::max(1.0, std::abs(slope)));
      };
      expect_equal(dpo_loss(at, beta), dpo);
      expect_equal(npo_loss(at, beta), npo);
    }
  }
}

// Zhang et al. 2024, proposition 1: up to a constant, the loss becomes gradient ascent.
TEST(PreferenceLosses, NpoBecomesGradientAscent) {
  const double beta = 1e-6;
  EXPECT_NEAR(npo_loss(3.0, beta).value - npo_loss(1.0, beta).value, 2.0, 1e-5);
  EXPECT_NEAR(npo_loss(3.0, beta).slope, 1.0, 1e-5);
}

// Three sequences of 4, 2 and 5 labels.
struct Batch {
  std::vector<int64_t> labels = {4, 2, 5};
  PerSequence now = {{9.5, 3.25, 14.0}, {2.0, 6.5, 4.0}}, before = {{8.0, 5.0, 13.0}, {3.0, 6.0, 1.5}};
  ForgetScale scale = {.examples = 1.0 / 22, .refusals = 1.0 / 14, .sequence = 1.0 / 6, .beta = 0.3, .bound = 2.0};
};

const ObjectiveParts::Retain no_retain = ObjectiveParts::Retain::none;

TEST(ForgetTerms, WeightsAreTheDerivativesOfTheValue) {
  for (const ObjectiveParts parts :
       {ObjectiveParts{Examples::descent, false, no_retain}, ObjectiveParts{Examples::ascent, false, no_retain},
        ObjectiveParts{Examples::rejected, true, no_retain}, ObjectiveParts{Examples::negative, false, no_retain},
        ObjectiveParts{Examples::bounded_ascent, false, no_retain}, ObjectiveParts{Examples::none, true, no_retain}}) {
    for (const double bound : {2.0, 20.0}) {
      Batch batch;
      batch.scale.bound = bound;
      if (parts.examples == Examples::none) batch.now.examples.clear();
      if (!parts.refusals) batch.now.refusals.clear();
      batch.before.examples.resize(batch.now.examples.size());
      batch.before.refusals.resize(batch.now.refusals.size());
      const auto value = [&] { return forget_terms(parts, batch.scale, batch.labels, batch.now, batch.before).value; };
      const ForgetTerms terms = forget_terms(parts, batch.scale, batch.labels, batch.now, batch.before);
      const auto check = [&](std::vector<double>& losses, const std::vector<double>& weights) {
        ASSERT_EQ(losses.size(), weights.size());
        for (size_t i = 0; i < losses.size(); ++i) {
          const double at = losses[i], step = 1e-5;
          losses[i] = at + step;
          const double above = value();
          losses[i] = at - step;
          const double below = value();
          losses[i] = at;
          EXPECT_NEAR(weights[i], (above - below) / (2 * step), 1e-9);
        }
      };
      check(batch.now.examples, terms.label_weight.examples);
      check(batch.now.refusals, terms.label_weight.refusals);
    }
  }
}

TEST(ForgetTerms, PreferencesAreMeansOverExamples) {
  const Batch batch;
  double dpo = 0, npo = 0;
  for (size_t i = 0; i < 3; ++i) {
    const double rejected = -batch.now.examples[i] + batch.before.examples[i];
    const double chosen = -batch.now.refusals[i] + batch.before.refusals[i];
    dpo += -std::log(1 / (1 + std::exp(-0.3 * (chosen - rejected)))) / 6;
    npo += -2 / 0.3 * std::log(1 / (1 + std::exp(0.3 * rejected))) / 6;
  }
  const auto value = [&](Examples examples, bool refusals) {
    return forget_terms({examples, refusals, no_retain}, batch.scale, batch.labels, batch.now, batch.before).value;
  };
  EXPECT_NEAR(value(Examples::rejected, true), dpo, 1e-12);
  EXPECT_NEAR(value(Examples::negative, false), npo, 1e-12);
}

TEST(ForgetTerms, TheBoundStopsTheAscentOfAMicroBatch) {
  Batch batch;  // the mean cross-entropy is 26.75 / 11 = 2.43
  const auto terms = [&] {
    return forget_terms({Examples::bounded_ascent, false, no_retain}, batch.scale, batch.labels, batch.now, {});
  };
  EXPECT_NEAR(terms().value, -2.0 * 11 / 22, 1e-12);
  EXPECT_EQ(terms().label_weight.examples, (std::vector<double>{0, 0, 0}));
  batch.scale.bound = 2.5;
  EXPECT_NEAR(terms().value, -26.75 / 22, 1e-12);
  EXPECT_EQ(terms().label_weight.examples, (std::vector<double>(3, -1.0 / 22)));
}

TEST(ForgetTerms, EveryPreferenceNeedsItsValues) {
  Batch batch;
  batch.before.refusals.pop_back();
  EXPECT_THROW(forget_terms({Examples::rejected, true, no_retain}, batch.scale, batch.labels, batch.now, batch.before),
               Internal);
}

TEST(Objectives, NamesGoBothWays) {
  for (const char* name :
       {"cross_entropy", "grad_ascent", "grad_diff", "grad_diff_bounded", "kl", "idk", "dpo", "npo", "npo_grad_diff"}) {
    EXPECT_EQ(name_of(objective(name)), name);
  }
  EXPECT_THROW(objective("KL"), BadExperiment);
  EXPECT_TRUE(parts_of(Objective::kl).compares());
  EXPECT_FALSE(parts_of(Objective::idk).compares());
  EXPECT_TRUE(parts_of(Objective::grad_diff_bounded).weighs_by_value());
}

}  // namespace
}  // namespace cmc::train
