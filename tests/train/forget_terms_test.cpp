#include "pipeline/train/forget_terms.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <numeric>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using Examples = ObjectiveParts::Examples;
using torch::Tensor;

TEST(PreferenceLosses, EqualPyTorch) {
  for (const double beta : {0.1, 0.5, 3.0}) {
    for (const double at : {-1000.0, -30.0, -1.0, 0.0, 0.2, 40.0, 1000.0}) {
      const Tensor ratio = torch::tensor(at, torch::kFloat64).requires_grad_(true);
      const Tensor dpo = -torch::log_sigmoid(beta * ratio), npo = -torch::log_sigmoid(-beta * ratio) * 2 / beta,
                   simnpo = -torch::log_sigmoid(beta * (ratio - 0.4)) * 2 / beta;
      const auto expect_equal = [&](const PreferenceLoss& ours, const Tensor& truth) {
        const double slope = torch::autograd::grad({truth}, {ratio})[0].item<double>();
        EXPECT_NEAR(ours.value, truth.item<double>(), 1e-12 * std::max(1.0, std::abs(truth.item<double>())));
        EXPECT_NEAR(ours.slope, slope, 1e-12 * std::max(1.0, std::abs(slope)));
      };
      expect_equal(dpo_loss(at, beta), dpo);
      expect_equal(npo_loss(at, beta), npo);
      expect_equal(simnpo_loss(at, beta, 0.4), simnpo);
    }
  }
}

// Zhang et al. 2024, proposition 1: up to a constant, the loss becomes gradient ascent.
TEST(PreferenceLosses, NpoBecomesGradientAscent) {
  const double beta = 1e-6;
  EXPECT_NEAR(npo_loss(3.0, beta).value - npo_loss(1.0, beta).value, 2.0, 1e-5);
  EXPECT_NEAR(npo_loss(3.0, beta).slope, 1.0, 1e-5);
}

// Three sequences of 4, 2 and 5 labels; refusals of 1, 3 and 2.
struct Batch {
  PerLabel now = {{{2.5, 3.0, 0.5, 3.5}, {1.25, 2.0}, {4.0, 0.25, 3.75, 2.0, 4.0}},
                  {{2.0}, {3.0, 1.5, 2.0}, {1.0, 3.0}}};
  PerSequence before = {{8.0, 5.0, 13.0}, {3.0, 6.0, 1.5}};
  ForgetScale scale = {
      .examples = 1.0 / 22, .refusals = 1.0 / 14, .sequence = 1.0 / 6, .of = {.beta = 0.3, .bound = 2.0, .skipped = 3}};
};

const ObjectiveParts::Retain no_retain = ObjectiveParts::Retain::none;

double sum(const std::vector<double>& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

TEST(ForgetTerms, WeightsAreTheDerivativesOfTheValue) {
  for (const ObjectiveParts parts :
       {ObjectiveParts{Examples::descent, false, no_retain}, ObjectiveParts{Examples::ascent, false, no_retain},
        ObjectiveParts{Examples::rejected, true, no_retain}, ObjectiveParts{Examples::negative, false, no_retain},
        ObjectiveParts{Examples::simple_negative, false, no_retain},
        ObjectiveParts{Examples::without_label, false, no_retain}, ObjectiveParts{Examples::dampened, false, no_retain},
        ObjectiveParts{Examples::bounded_ascent, false, no_retain}, ObjectiveParts{Examples::none, true, no_retain}}) {
    for (const double bound : {2.0, 20.0}) {
      Batch batch;
      batch.scale.of.bound = bound;
      if (parts.examples == Examples::none) batch.now.examples.clear();
      if (!parts.refusals) batch.now.refusals.clear();
      batch.before.examples.resize(batch.now.examples.size());
      batch.before.refusals.resize(batch.now.refusals.size());
      const auto value = [&] { return forget_terms(parts, batch.scale, batch.now, batch.before).value; };
      const ForgetTerms terms = forget_terms(parts, batch.scale, batch.now, batch.before);
      const auto check = [&](std::vector<std::vector<double>>& losses,
                             const std::vector<std::vector<double>>& weights) {
        ASSERT_EQ(losses.size(), weights.size());
        for (size_t i = 0; i < losses.size(); ++i) {
          ASSERT_EQ(losses[i].size(), weights[i].size());
          for (size_t t = 0; t < losses[i].size(); ++t) {
            const double at = losses[i][t], step = 1e-5;
            losses[i][t] = at + step;
            const double above = value();
            losses[i][t] = at - step;
            const double below = value();
            losses[i][t] = at;
            EXPECT_NEAR(weights[i][t], (above - below) / (2 * step), 1e-9);
          }
        }
      };
      check(batch.now.examples, terms.label_weight.examples);
      check(batch.now.refusals, terms.label_weight.refusals);
    }
  }
}

TEST(ForgetTerms, AnAscentWeightedByProbabilityIsNotDifferentiatedThroughItsWeight) {
  Batch batch;
  batch.scale.of.beta = 2, batch.scale.of.beta2 = 0.5;
  const auto terms = forget_terms({Examples::weighted_ascent, false, no_retain}, batch.scale, batch.now, {});
  double value = 0;
  for (size_t i = 0; i < 3; ++i)
    for (size_t t = 0; t < batch.now.examples[i].size(); ++t) {
      const double p = std::exp(-batch.now.examples[i][t]), weight = -p * p * std::sqrt(1 - p) / 22;
      EXPECT_NEAR(terms.label_weight.examples[i][t], weight, 1e-15);
      value += weight * batch.now.examples[i][t];
    }
  EXPECT_NEAR(terms.value, value, 1e-14);
}

TEST(ForgetTerms, TheFirstLabelsAreLeftAlone) {
  const Batch batch;
  const auto terms = forget_terms({Examples::without_label, false, no_retain}, batch.scale, batch.now, {});
  EXPECT_EQ(terms.label_weight.examples,
            (std::vector<std::vector<double>>{{0, 0, 0, 1.0 / 22}, {0, 0}, {0, 0, 0, 1.0 / 22, 1.0 / 22}}));
  EXPECT_NEAR(terms.value, (3.5 + 2.0 + 4.0) / 22, 1e-14);
}

TEST(ForgetTerms, PreferencesAreMeansOverExamples) {
  const Batch batch;
  double dpo = 0, npo = 0;
  for (size_t i = 0; i < 3; ++i) {
    const double rejected = -sum(batch.now.examples[i]) + batch.before.examples[i];
    const double chosen = -sum(batch.now.refusals[i]) + batch.before.refusals[i];
    dpo += -std::log(1 / (1 + std::exp(-0.3 * (chosen - rejected)))) / 6;
    npo += -2 / 0.3 * std::log(1 / (1 + std::exp(0.3 * rejected))) / 6;
  }
  const auto value = [&](Examples examples, bool refusals) {
    return forget_terms({examples, refusals, no_retain}, batch.scale, batch.now, batch.before).value;
  };
  EXPECT_NEAR(value(Examples::rejected, true), dpo, 1e-12);
  EXPECT_NEAR(value(Examples::negative, false), npo, 1e-12);
}

TEST(ForgetTerms, TheBoundStopsTheAscentOfAMicroBatch) {
  Batch batch;  // the mean cross-entropy is 26.75 / 11 = 2.43
  const auto terms = [&] {
    return forget_terms({Examples::bounded_ascent, false, no_retain}, batch.scale, batch.now, {});
  };
  EXPECT_NEAR(terms().value, -2.0 * 11 / 22, 1e-12);
  for (const auto& weights : terms().label_weight.examples) EXPECT_EQ(weights, std::vector<double>(weights.size(), 0));
  batch.scale.of.bound = 2.5;
  EXPECT_NEAR(terms().value, -26.75 / 22, 1e-12);
  for (const auto& weights : terms().label_weight.examples)
    EXPECT_EQ(weights, std::vector<double>(weights.size(), -1.0 / 22));
}

TEST(ForgetTerms, EveryPreferenceNeedsItsValues) {
  Batch batch;
  batch.before.refusals.pop_back();
  EXPECT_THROW(forget_terms({Examples::rejected, true, no_retain}, batch.scale, batch.now, batch.before), Internal);
}

TEST(Objectives, NamesGoBothWays) {
  for (const char* name :
       {"cross_entropy", "grad_ascent", "grad_diff", "grad_diff_bounded", "kl", "idk", "dpo", "npo", "npo_grad_diff",
        "simnpo", "wga", "satimp", "ceu", "undial", "undial_grad_diff", "remember_uniform"}) {
    EXPECT_EQ(name_of(objective(name)), name);
  }
  EXPECT_THROW(objective("KL"), BadExperiment);
  EXPECT_TRUE(parts_of(Objective::kl).compares());
  EXPECT_FALSE(parts_of(Objective::idk).compares());
  EXPECT_TRUE(parts_of(Objective::grad_diff_bounded).weighs_by_value());
}

}  // namespace
}  // namespace cmc::train
