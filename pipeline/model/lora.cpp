#include "pipeline/model/lora.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

std::string last_part(const std::string& module) {
  return module.substr(module.rfind('.') + 1);
}

void check_settings(const LoraSettings& settings, ModelWeights& weights) {
  const auto require = [](bool holds, const char* field, const char* remedy) {
    if (!holds) throw BadExperiment({std::string("LoRA: ") + field, "is out of range", remedy});
  };
  require(settings.rank > 0, "rank", "give a positive number");
  require(settings.alpha > 0, "alpha", "give a positive number");
  require(settings.dropout >= 0 && settings.dropout < 1, "dropout", "give a probability below 1");
  require(!settings.targets.empty(), "targets", "name at least one linear layer, as q_proj");
  std::set<std::string> known;
  for (const Linear* block : linear_blocks(weights)) {
    for (const std::string& module : block->modules) known.insert(last_part(module));
  }
  for (const std::string& target : settings.targets) {
    if (known.contains(target)) continue;
    std::string names;
    for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
    throw BadExperiment({"LoRA: targets", "names \"" + target + "\", no linear layer of the model", "use of " + names});
  }
}

// U(-bound, bound), the same bits on every machine.
torch::Tensor uniform(const std::string& name, uint64_t seed, double bound, torch::IntArrayRef shape) {
  Random random(seed_of({"adapter", std::to_string(seed), name}));
  torch::Tensor tensor = torch::empty(shape, torch::kFloat32);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
  return tensor;
}

}  // namespace

ModelWeights with_new_adapters(const ModelWeights& base, const LoraSettings& settings, uint64_t seed) {
  const c10::InferenceMode ordinary(false);
  const torch::NoGradGuard no_gradients;
  ModelWeights weights = base;
  check_settings(settings, weights);
  const auto is_target = [&](const std::string& module) {
    return std::ranges::find(settings.targets, last_part(module)) != settings.targets.end();
  };
  weights.lora = settings;
  weights.named_adapters.clear();
  weights.adapter_plans.clear();
  for (Linear* block : linear_blocks(weights)) {
    block->adapters.clear();
    for (size_t i = 0; i < block->modules.size(); ++i) {
      const std::string& module = block->modules[i];
      if (!is_target(module)) continue;
      const torch::Device device = block->weights[i].device();
      const double bound = 1.0 / std::sqrt(static_cast<double>(block->columns.whole));
      const torch::Tensor whole = uniform(module, seed, bound, {settings.rank, block->columns.whole});
      torch::Tensor own = torch::empty({settings.rank, block->columns.count()});
      copy_slices(whole, all_of(settings.rank), block->columns, own);
      add_adapter(weights, *block, i, own.to(device), torch::zeros({block->rows[i].count(), settings.rank}, device));
    }
  }
  return weights;
}

ModelWeights with_adapters_of(const ModelWeights& base, const ModelWeights& other) {
  const torch::NoGradGuard no_gradients;
  ModelWeights weights = base, source = other;
  weights.lora = other.lora;
  weights.named_adapters.clear();
  weights.adapter_plans.clear();
  const std::vector<Linear*> to = linear_blocks(weights), from = linear_blocks(source);
  for (size_t block = 0; block < to.size(); ++block) {
    to[block]->adapters.clear();
    for (size_t i = 0; i < from[block]->adapters.size(); ++i) {
      const Adapter& adapter = from[block]->adapters[i];
      if (adapter.a.defined()) add_adapter(weights, *to[block], i, adapter.a.clone(), adapter.b.clone());
    }
  }
  return weights;
}

void add_adapter(ModelWeights& weights, Linear& block, size_t i, torch::Tensor a, torch::Tensor b) {
  const std::string name = "base_model.model." + block.modules[i];
  block.adapters.resize(block.modules.size());
  block.adapters[i] = {.a = a,
                       .b = b,
                       .scale = weights.lora->alpha / static_cast<double>(weights.lora->rank),
                       .dropout = weights.lora->dropout,
                       .stream = weights.named_adapters.size() / 2,
                       .columns = block.columns};
  const Slices rank = all_of(weights.lora->rank);
  const auto add = [&](const std::string& tensor, const Slices& rows, const Slices& columns, const torch::Tensor& x) {
    weights.named_adapters.emplace_back(tensor, x);
    weights.adapter_plans.push_back({tensor, Fill::weights, rows, columns});
    weights.adapter_plans.back().gradient = RankGradient::partial;
  };
  add(name + ".lora_A.weight", rank, block.columns, a);
  add(name + ".lora_B.weight", block.rows[i], rank, b);
}

void merge_adapters(ModelWeights& weights) {
  const torch::NoGradGuard no_gradients;
  for (Linear* block : linear_blocks(weights)) {
    for (size_t i = 0; i < block->adapters.size(); ++i) {
      const Adapter& adapter = block->adapters[i];
      // The sum is made in float32 and rounded once.
      if (adapter.a.defined()) block->weights[i].add_(adapter.product());
    }
    block->adapters.clear();
    block->unpack();
  }
  weights.lora.reset();
  weights.named_adapters.clear();
  weights.adapter_plans.clear();
}

}  // namespace cmc::model
