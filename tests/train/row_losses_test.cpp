// The losses' loops over rows against torch's operations.
#include "pipeline/train/row_losses.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "pipeline/model/op_path.hpp"
#include "pipeline/train/divergence.hpp"
#include "pipeline/train/loss.hpp"
#include "pipeline/train/soft_target.hpp"

namespace cmc::train {
namespace {
using model::ForcedPath;
using model::OpPath;
using torch::Tensor;

constexpr double infinite = std::numeric_limits<double>::infinity();

FusedRows some_rows(int64_t rows, int64_t vocabulary) {
  torch::manual_seed(5);
  FusedRows fused;
  fused.frozen.push_back({torch::randn({rows, 12}), torch::randn({vocabulary, 12})});
  fused.trained = {torch::randn({rows, 5}), torch::randn({vocabulary, 5}), 0.8};
  fused.weights = torch::randn({rows});
  fused.memory_bytes = 7 * 2 * vocabulary * 4 + 9;  // chunks, the last one shorter
  if (rows > 30) fused.memory_bytes *= 4;
  return fused;
}

// What a loss tells and its gradients by the trained term.
using Loss = std::function<std::vector<Tensor>(const FusedRows&)>;
std::vector<Tensor> told(OpPath path, const Loss& loss, FusedRows rows) {
  const ForcedPath forced(path);
  rows.trained.hidden = rows.trained.hidden.detach().clone().requires_grad_(true);
  rows.trained.weight = rows.trained.weight.detach().clone().requires_grad_(true);
  std::vector<Tensor> all = loss(rows);
  all.front().backward();
  all.front() = all.front().detach();
  all.push_back(rows.trained.hidden.grad());
  all.push_back(rows.trained.weight.grad());
  return all;
}

void expect_same(const Loss& loss, const std::string& name) {
  if (!has_row_loops(torch::empty({1, 1}), {})) GTEST_SKIP() << "these loops need a processor with AVX2 and FMA";
  for (const int64_t rows : {1, 9, 70}) {
    for (const int64_t vocabulary : {2, 7, 8, 203, 1024}) {
      const FusedRows input = some_rows(rows, vocabulary);
      const auto truth = told(OpPath::torch, loss, input), ours = told(OpPath::cpu_kernels, loss, input);
      for (size_t i = 0; i < truth.size(); ++i) {
        ASSERT_TRUE(ours[i].isfinite().all().item<bool>()) << name << i;
        const double scale = std::max(1.0, truth[i].abs().max().item<double>());
        EXPECT_LE((ours[i] - truth[i]).abs().max().item<double>(), 1e-5 * scale)
            << name << ", " << rows << ", " << vocabulary << ", " << i;
      }
    }
  }
}

Tensor labels_of(const FusedRows& rows) {
  torch::manual_seed(6);
  return torch::randint(rows.trained.weight.size(0), {rows.weights.size(0)}, torch::kLong);
}

TEST(RowLosses, CrossEntropy) {
  expect_same(
      [](const FusedRows& rows) {
        const LossOutput output = fused_cross_entropy({rows, labels_of(rows)});
        return std::vector<Tensor>{output.loss, output.token_loss};
      },
      "cross-entropy");
}

TEST(RowLosses, Divergence) {
  for (const bool uniform : {false, true}) {
    expect_same(
        [&](const FusedRows& rows) {
          DivergenceInput input{rows, {}};
          torch::manual_seed(8);
          if (!uniform)
            input.reference =
                LogitTerm{torch::randn({rows.weights.size(0), 6}), torch::randn({rows.trained.weight.size(0), 6})};
          const DivergenceOutput output = fused_divergence(input);
          return std::vector<Tensor>{output.loss, output.token_divergence};
        },
        uniform ? "from uniform" : "from a reference");
  }
}

TEST(RowLosses, SoftTarget) {
  for (const double penalty : {0.0, 2.5, infinite}) {
    expect_same(
        [&](const FusedRows& rows) {
          const SoftTargetOutput output = fused_soft_target({rows, labels_of(rows), {}, penalty});
          return std::vector<Tensor>{output.loss, output.token_loss, output.label_loss};
        },
        "penalty " + std::to_string(penalty));
  }
}

}  // namespace
}  // namespace cmc::train
