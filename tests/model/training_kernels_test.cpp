// What a CPU computes in training, against torch's operations and autograd.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "pipeline/checkpoint/linear_layers.hpp"
#include "pipeline/cpu/gemm.hpp"
#include "pipeline/cpu/instruction_set.hpp"
#include "pipeline/model/attention_gradient.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/gate.hpp"
#include "pipeline/model/linear.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/matrix_product.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/op_path.hpp"
#include "pipeline/model/rotated_heads.hpp"
#include "tests/model/support_configs.hpp"

namespace cmc::model {
namespace {
using torch::Tensor;

class TrainingKernels : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(cpu::instruction_set(), cpu::InstructionSet::none) << "these kernels need a processor with AVX2 and FMA";
    torch::manual_seed(3);
  }
};

class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

void expect_near(const Tensor& ours, const Tensor& truth, const std::string& where, double tolerance = 1e-5) {
  ASSERT_EQ(ours.sizes(), truth.sizes()) << where;
  ASSERT_TRUE(ours.isfinite().all().item<bool>()) << where;
  const double scale = std::max(0.3, truth.abs().max().item<double>());
  EXPECT_LE((ours - truth).abs().max().item<double>(), tolerance * scale) << where;
}

struct Shape {
  int64_t rows, inner, columns;
};
const std::vector<Shape> shapes = {{1, 1, 1},    {1, 7, 33},    {9, 5, 1},     {8, 32, 32},   {13, 41, 90},
                                   {70, 20, 45}, {3, 1500, 20}, {130, 700, 9}, {65, 24, 300}, {20, 100, 600}};

TEST_F(TrainingKernels, ProductsOfEitherFactorTransposed) {
  for (const auto& [rows, inner, columns] : shapes) {
    for (const bool left_transposed : {false, true}) {
      for (const bool right_transposed : {false, true}) {
        const Tensor left = left_transposed ? torch::randn({inner, rows}).t() : torch::randn({rows, inner});
        const Tensor right = right_transposed ? torch::randn({columns, inner}).t() : torch::randn({inner, columns});
        const Tensor before = torch::randn({rows, columns + 3});
        const Tensor truth = torch::mm(left.to(torch::kFloat64), right.to(torch::kFloat64)) * 0.7;
        const auto product = [&](bool adds) {
          const Tensor out = before.clone();
          product_into(out.narrow(1, 2, columns), left, right, 0.7, adds);
          EXPECT_TRUE(out.select(1, 1).equal(before.select(1, 1)));
          EXPECT_TRUE(out.select(1, columns + 2).equal(before.select(1, columns + 2)));
          return out.narrow(1, 2, columns).clone();
        };
        const std::string where = std::to_string(rows) + ", " + std::to_string(inner) + ", " + std::to_string(columns);
        const Tensor plain = product(false);
        expect_near(plain.to(torch::kFloat64), truth, where);
        expect_near(product(true).to(torch::kFloat64), truth + before.narrow(1, 2, columns), where);
        const Threads three(3);
        EXPECT_TRUE(product(false).equal(plain)) << where;
        const Threads one(1);
        const cpu::NarrowVectors narrow;
        EXPECT_TRUE(product(false).equal(plain)) << where;
      }
    }
  }
}

// The results of `f`, then the gradients by `inputs` and `parameters` of a fixed function of these.
using Operation = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;
std::vector<Tensor> followed(OpPath path, const Operation& f, const std::vector<Tensor>& inputs) {
  const ForcedPath forced(path);
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  std::vector<Tensor> all = f(leaves);
  torch::manual_seed(11);
  Tensor loss;
  for (const Tensor& each : all) {
    const Tensor part = (each * torch::randn(each.sizes())).sum();
    loss = loss.defined() ? loss + part : part;
  }
  loss.backward();
  for (const Tensor& leaf : leaves) all.push_back(leaf.grad());
  return all;
}

void expect_same(const Operation& f, const std::vector<Tensor>& inputs, const std::string& where) {
  const auto truth = followed(OpPath::torch, f, inputs), ours = followed(OpPath::cpu_gradients, f, inputs);
  ASSERT_EQ(ours.size(), truth.size()) << where;
  for (size_t i = 0; i < ours.size(); ++i) expect_near(ours[i], truth[i], where + ", " + std::to_string(i));
  const Threads three(3);
  const auto again = followed(OpPath::cpu_gradients, f, inputs);
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(again[i].equal(ours[i])) << where << ", three threads, " << i;
}

TEST_F(TrainingKernels, Norms) {
  for (const int64_t width : {1, 5, 8, 37, 96}) {
    for (const int64_t rows : {1, 3, 200}) {
      for (const bool centred : {false, true}) {
        for (const bool branch_scaled : {false, true}) {
          const auto add = [&](const std::vector<Tensor>& of) {
            Norm norm{.kind = {}, .is_there = true};
            norm.kind.adds_one = !centred;
            norm.kind.centred = centred;
            norm.weight = of[2];
            if (centred) norm.bias = of[3];
            Tensor x = of[0];
            const Tensor state = add_norm(x, {of[1], {}, branch_scaled ? 0.3 : 1.0}, norm);
            return std::vector<Tensor>{state, x, norm(of[0])};
          };
          std::vector<Tensor> inputs = {torch::randn({rows, width}), torch::randn({rows, width}),
                                        torch::randn({width})};
          if (centred) inputs.push_back(torch::randn({width}));
          if (centred && width == 1) continue;  // nothing is left
          expect_same(add, inputs, std::to_string(rows) + ", " + std::to_string(width));
        }
      }
    }
  }
}

TEST_F(TrainingKernels, Gates) {
  using checkpoint::Activation;
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu_quick, Activation::gelu,
                                      Activation::relu, Activation::relu_squared}) {
    for (const int64_t width : {1, 13, 64}) {
      for (const int64_t rows : {1, 90}) {
        for (const Gating gating : {Gating::gated, Gating::plain}) {
          const auto f = [&](const std::vector<Tensor>& of) {
            return std::vector<Tensor>{gate(activation, gating, of[0])};
          };
          const int64_t all = gating == Gating::gated ? 2 * width : width;
          expect_same(f, {torch::randn({rows, all}) * 3}, std::to_string(static_cast<int>(activation)));
        }
      }
    }
  }
}

TEST_F(TrainingKernels, CausalAttentionOfSpans) {
  for (const int64_t dim : {3, 8, 24, 36}) {
    for (const int64_t window : {0, 1, 11, 40}) {
      auto config = small_llama();
      config.heads = 4;
      config.kv_heads = 2;
      config.head_dim = dim;
      const std::vector<Placement> spans = {
          {.first = 0, .tokens = 1}, {.first = 1, .tokens = 77}, {.first = 78, .tokens = 32}};
      const auto f = [&](const std::vector<Tensor>& of) {
        if (path_of(of[0]) == OpPath::cpu_gradients)
          return std::vector<Tensor>{attend_spans(of[0], config, spans, 0.4, window)};
        std::vector<Tensor> parts;
        for (const Placement& span : spans) {
          const Tensor heads = of[0].narrow(0, span.first, span.tokens).view({span.tokens, 8, dim}).transpose(0, 1);
          const auto repeat = [](const Tensor& x) { return x.repeat_interleave(2, 0); };
          Tensor mask = torch::ones({span.tokens, span.tokens}, torch::kBool).tril();
          if (window > 0) mask = mask.triu(1 - window);
          const Tensor scores =
              torch::matmul(heads.narrow(0, 0, 4), repeat(heads.narrow(0, 4, 2)).transpose(1, 2)) * 0.4;
          const Tensor shares = torch::softmax(scores.masked_fill(~mask, -INFINITY), -1);
          parts.push_back(torch::matmul(shares, repeat(heads.narrow(0, 6, 2))).transpose(0, 1).flatten(1));
        }
        return std::vector<Tensor>{torch::cat(parts)};
      };
      expect_same(f, {torch::randn({110, 8 * dim})}, std::to_string(dim) + ", " + std::to_string(window));
    }
  }
}

TEST_F(TrainingKernels, LinearLayersWithBiasesAndAdapters) {
  for (const int64_t rows : {1, 8, 75}) {
    for (const bool adapted : {false, true}) {
      const auto f = [&](const std::vector<Tensor>& of) {
        const auto rows_of = [](const Tensor& all) { return std::vector{all.narrow(0, 0, 20), all.narrow(0, 20, 11)}; };
        Linear linear;
        linear.weight = adapted ? of[1].detach() : of[1];
        linear.bias = of[2].detach();
        linear.weights = rows_of(linear.weight);
        if (!adapted) linear.biases = rows_of(of[2]);
        if (!adapted) linear.bias = of[2];
        if (adapted) linear.adapters = {{of[3], of[4], 0.6, 0, 0}, {}};
        return std::vector<Tensor>{linear(of[0])};
      };
      std::vector<Tensor> inputs = {torch::randn({rows, 17}), torch::randn({31, 17}), torch::randn({31})};
      if (adapted) {
        inputs.push_back(torch::randn({5, 17}));
        inputs.push_back(torch::randn({20, 5}));
      }
      const auto parameters = adapted ? std::vector<size_t>{0, 3, 4} : std::vector<size_t>{0, 1, 2};
      std::vector<Tensor> wanted;
      for (const size_t i : parameters) wanted.push_back(inputs[i]);
      const auto of_wanted = [&](const std::vector<Tensor>& leaves) {
        std::vector<Tensor> all = inputs;
        for (size_t i = 0; i < parameters.size(); ++i) all[parameters[i]] = leaves[i];
        return f(all);
      };
      expect_same(of_wanted, wanted, std::to_string(rows) + (adapted ? ", adapted" : ""));
    }
  }
}

// The states, and the gradient of each trainable tensor, of a pass over several spans.
std::vector<Tensor> pass_gradients(DecoderModel& model, OpPath path) {
  const ForcedPath forced(path);
  ModelInput input;
  input.spans = {{0, 40}, {0, 1}, {0, 14}};
  torch::manual_seed(5);
  input.tokens = torch::randint(50, {55}, torch::kLong);
  model.require_gradients(true);
  for (const auto& [name, tensor] : model.trainable()) Tensor(tensor).mutable_grad() = torch::zeros_like(tensor);
  const Tensor states = model.hidden(input, nullptr);
  (states * torch::randn(states.sizes())).sum().backward();
  std::vector<Tensor> results = {states.detach()};
  for (const auto& [name, tensor] : model.trainable()) results.push_back(tensor.grad());
  model.require_gradients(false);
  return results;
}

TEST_F(TrainingKernels, GradientsOfEveryKindOfModel) {
  for (const auto& [name, config] : every_attention()) {
    const auto whole = DecoderModel::random(config, 1, torch::kFloat32, torch::kCPU);
    const auto layers = checkpoint::linear_layers(config);
    const LoraSettings settings{.rank = 3, .alpha = 6, .targets = {layers.begin(), layers.end()}};
    for (DecoderModel model : {whole, whole.with_adapters(settings, 4)}) {
      const auto truth = pass_gradients(model, OpPath::torch), ours = pass_gradients(model, OpPath::cpu_gradients);
      for (size_t i = 0; i < ours.size(); ++i)
        expect_near(ours[i], truth[i], name + ", " + (i == 0 ? "states" : model.trainable()[i - 1].first), 3e-5);
    }
  }
}

}  // namespace
}  // namespace cmc::model
