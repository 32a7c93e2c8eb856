// What a plan knows of a model's linear layers is what the model has.
#include "pipeline/checkpoint/linear_layers.hpp"

#include <gtest/gtest.h>

#include "pipeline/model/make_weights.hpp"
#include "tests/model/support_configs.hpp"

namespace cmc::model {
namespace {

TEST(LinearLayers, AreThoseThatAdaptersFind) {
  auto kinds = every_family();
  for (auto& kind : every_attention()) kinds.push_back(std::move(kind));
  for (const auto& [name, config] : kinds) {
    const FillTensor fill = [](const auto&...) {};
    auto weights = make_weights(config, {}, torch::kFloat32, torch::kCPU, fill);
    std::set<std::string> found;
    for (const Linear* block : linear_blocks(weights))
      for (const std::string& module : block->modules) found.insert(module.substr(module.rfind('.') + 1));
    EXPECT_EQ(checkpoint::linear_layers(config), found) << name;
  }
}

}  // namespace
}  // namespace cmc::model
