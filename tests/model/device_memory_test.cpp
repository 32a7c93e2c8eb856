#include "pipeline/model/device_memory.hpp"

#include <gtest/gtest.h>

namespace cmc::model {
namespace {

TEST(DeviceMemory, OfTheMachineIsNamed) {
  const DeviceMemory memory = memory_of(torch::kCPU);
  EXPECT_GT(memory.free, 0);
  EXPECT_GE(memory.total, memory.free);
}

TEST(DeviceMemory, ThePeakSeesWhatIsAllocatedAndGivenBack) {
  restart_peak_bytes(torch::kCPU);
  const int64_t before = peak_bytes(torch::kCPU);
  { const torch::Tensor large = torch::ones({int64_t{64} << 20}, torch::kUInt8); }
  EXPECT_GE(peak_bytes(torch::kCPU), before + (int64_t{48} << 20));
  release_cached_bytes(torch::kCPU);
}

TEST(DeviceMemory, APassTakesFewerTokensOfWiderModels) {
  checkpoint::ModelConfig config;
  config.hidden = 8;
  config.intermediate = 16;
  EXPECT_EQ(pass_tokens_on(torch::kCPU, config, torch::kFloat32), 16384);
  config.intermediate = int64_t{1} << 40;
  EXPECT_EQ(pass_tokens_on(torch::kCPU, config, torch::kFloat32), 512);
  // A layer's work on 3,000 tokens is what it may take: the power of two below.
  config.intermediate = 0;
  config.hidden = memory_of(torch::kCPU).total / 32 / 3000 / (4 * 4);
  EXPECT_EQ(pass_tokens_on(torch::kCPU, config, torch::kFloat32), 2048);
  EXPECT_EQ(pass_tokens_on(torch::kCPU, config, torch::kBFloat16), 4096);
}

}  // namespace
}  // namespace cmc::model
