#include "pipeline/model/experts.hpp"

#include <ATen/record_function.h>

#include "pipeline/model/gate.hpp"

namespace cmc::model {

namespace {

using checkpoint::Experts;
using checkpoint::ModelConfig;

// Which experts each token reads, [N, active] int64, and what they count, [N, active].
struct Choice {
  torch::Tensor experts, weights;
};

// Only the experts of the best groups may be chosen: those whose two best scores are largest (DeepSeek-V3).
torch::Tensor within_groups(const Experts& settings, const torch::Tensor& scores) {
  const torch::Tensor groups = scores.view({scores.size(0), settings.groups, -1});
  const torch::Tensor best = std::get<0>(groups.topk(2, -1)).sum(-1);
  const torch::Tensor chosen = std::get<1>(best.topk(settings.active_groups, -1));
  const torch::Tensor open = torch::zeros_like(best, torch::kBool).scatter(1, chosen, true).unsqueeze(-1);
  return groups.masked_fill(~open, -std::numeric_limits<float>::infinity()).flatten(1);
}

Choice choose_by_sigmoid(const Experts& settings, const ExpertWeights& weights, const torch::Tensor& x) {
  const torch::Tensor scores = torch::sigmoid(torch::linear(x.to(torch::kFloat32), weights.router.to(torch::kFloat32)));
  torch::Tensor for_choice = scores.detach();
  if (weights.correction.defined()) for_choice = for_choice + weights.correction;
  const torch::Tensor experts = std::get<1>(within_groups(settings, for_choice).topk(settings.active, -1));
  return {experts, scores.gather(1, experts)};
}

Choice choose(const Experts& settings, const ExpertWeights& weights, const torch::Tensor& x) {
  Choice choice;
  if (settings.router == Experts::Router::sigmoid_group) {
    choice = choose_by_sigmoid(settings, weights, x);
  } else {
    const torch::Tensor scores = torch::linear(x, weights.router, weights.router_bias);
    const bool of_all = settings.router == Experts::Router::softmax;
    const auto best = (of_all ? torch::softmax(scores, -1, torch::kFloat32) : scores).topk(settings.active, -1);
    choice = {std::get<1>(best), of_all ? std::get<0>(best) : torch::softmax(std::get<0>(best), -1)};
  }
  if (settings.normalised) choice.weights = choice.weights / (choice.weights.sum(-1, true) + 1e-20);
  if (settings.scale != 1.0) choice.weights = choice.weights * settings.scale;
  return choice;
}

// What stands between an expert's two layers, over the last dimension: [.., 2 · width] → [.., width].
torch::Tensor gated(const ModelConfig& config, const torch::Tensor& joined) {
  if (config.experts.limit == 0.0) {
    const std::vector<int64_t> shape = joined.sizes().vec();
    const torch::Tensor flat = gate(config.activation, Gating::gated, joined.reshape({-1, shape.back()}));
    std::vector<int64_t> half = shape;
    half.back() /= 2;
    return flat.view(half);
  }
  const auto halves = joined.chunk(2, -1);
  const torch::Tensor opened = halves[0].clamp_max(config.experts.limit);
  const torch::Tensor up = halves[1].clamp(-config.experts.limit, config.experts.limit);
  return (up + 1.0) * opened * torch::sigmoid(opened * config.experts.alpha);
}

// Each expert over the tokens that chose it.
torch::Tensor by_expert(const ModelConfig& config, const ExpertWeights& weights, const torch::Tensor& x,
                        const Choice& choice) {
  torch::Tensor sum = torch::zeros_like(x);
  for (int64_t expert = 0; expert < config.experts.count; ++expert) {
    const torch::Tensor places = torch::nonzero(choice.experts == expert);
    if (places.size(0) == 0) continue;
    const torch::Tensor tokens = places.select(1, 0);
    const auto number = static_cast<size_t>(expert);
    const torch::Tensor inner = gated(config, weights.each_gate_up[number](x.index_select(0, tokens)));
    const torch::Tensor shares = choice.weights.index({tokens, places.select(1, 1)}).unsqueeze(1);
    sum = sum.index_add(0, tokens, (weights.each_down[number](inner) * shares).to(x.scalar_type()));
  }
  return sum;
}

// Every expert over every token, those that a token did not choose counting nothing: two products read all weights
// once, which a batch that decodes comes to do anyway.
torch::Tensor all_at_once(const ModelConfig& config, const ExpertWeights& weights, const torch::Tensor& x,
                          const Choice& choice) {
  const auto layer = [](const torch::Tensor& input, const torch::Tensor& weight, const torch::Tensor& bias) {
    const torch::Tensor result = torch::bmm(input, weight.transpose(1, 2));
    return bias.defined() ? result + bias.unsqueeze(1) : result;
  };
  const torch::Tensor repeated = x.unsqueeze(0).expand({config.experts.count, -1, -1});
  const torch::Tensor inner = gated(config, layer(repeated, weights.gate_up, weights.gate_up_bias));
  const torch::Tensor outputs = layer(inner, weights.down, weights.down_bias);  // [experts, N, hidden]
  const torch::Tensor shares = torch::zeros({x.size(0), config.experts.count}, choice.weights.options())
                                   .scatter(1, choice.experts, choice.weights);
  return (outputs * shares.t().unsqueeze(2)).sum(0).to(x.scalar_type());
}

torch::Tensor shared(const ModelConfig& config, const ExpertWeights& weights, const torch::Tensor& x,
                     std::optional<uint64_t> dropout_seed) {
  const torch::Tensor inner = gate(config.activation, Gating::gated, weights.shared_gate_up(x, dropout_seed));
  const torch::Tensor result = weights.shared_down(inner, dropout_seed);
  return weights.shared_gate.defined() ? result * torch::sigmoid(torch::linear(x, weights.shared_gate)) : result;
}

// As many tokens as a decoding step has, at most.
constexpr int64_t few_tokens = 256;

}  // namespace

torch::Tensor mix_experts(const ModelConfig& config, const ExpertWeights& weights, const torch::Tensor& x,
                          std::optional<uint64_t> dropout_seed) {
  RECORD_FUNCTION("cmc::mix_experts", c10::ArrayRef<const c10::IValue>{});
  const Choice choice = choose(config.experts, weights, x);
  const bool waits_for_nothing = !torch::GradMode::is_enabled() && x.is_cuda() && x.size(0) <= few_tokens;
  const torch::Tensor sum =
      waits_for_nothing ? all_at_once(config, weights, x, choice) : by_expert(config, weights, x, choice);
  return weights.shared_gate_up.is_there() ? sum + shared(config, weights, x, dropout_seed) : sum;
}

}  // namespace cmc::model
