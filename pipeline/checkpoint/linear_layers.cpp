#include "pipeline/checkpoint/linear_layers.hpp"

#include <algorithm>

namespace cmc::checkpoint {
namespace {

std::set<std::string> in_attention(const ModelConfig& config) {
  const TensorNames& names = config.names;
  if (!config.has_latent()) {
    if (!names.joined.empty()) return {names.joined, names.attention_output};
    return {names.query, names.key, names.value, names.attention_output};
  }
  std::set<std::string> latent = {names.key_down, names.key_up, names.attention_output};
  if (config.latent.query_rank > 0)
    latent.insert({names.query_down, names.query_up});
  else
    latent.insert(names.query);
  return latent;
}

std::set<std::string> in_mlp(const ModelConfig& config) {
  const TensorNames& names = config.names;
  const auto is_dense = [](const auto& layer) { return !layer.experts; };
  std::set<std::string> mlp;
  if (std::ranges::any_of(config.kinds, is_dense)) {
    mlp.insert({names.gate_up.empty() ? names.up : names.gate_up, names.down});
    if (names.gate_up.empty() && config.gated) mlp.insert(names.gate);
  }
  const bool has_experts = !std::ranges::all_of(config.kinds, is_dense);
  if (has_experts && config.experts.shared_intermediate > 0)
    mlp.insert({names.expert_gate, names.expert_up, names.expert_down});
  return mlp;
}

}  // namespace

std::set<std::string> linear_layers(const ModelConfig& config) {
  std::set<std::string> last_parts;
  for (const auto& names : {in_attention(config), in_mlp(config)})
    for (const auto& name : names) last_parts.insert(name.substr(name.rfind('.') + 1));
  return last_parts;
}

}  // namespace cmc::checkpoint
