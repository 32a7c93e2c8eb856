#include "stages/bench/device_idle.hpp"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace cmc::stages {
namespace {

namespace profiler = torch::profiler::impl;

const std::set<profiler::ActivityType>& activities() {
  static const std::set<profiler::ActivityType> of_the_device = {profiler::ActivityType::CUDA};
  return of_the_device;
}

}  // namespace

void DeviceActivity::begin() {
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  torch::autograd::profiler::prepareProfiler(config, activities());
  torch::autograd::profiler::enableProfiler(config, activities());
}

std::optional<double> DeviceActivity::idle_share_at_end() {
  const auto result = torch::autograd::profiler::disableProfiler();
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& event : result->events())
    if (event.deviceType() == c10::DeviceType::CUDA && event.durationNs() > 0)
      spans.emplace_back(event.startNs(), event.endNs());
  if (spans.empty()) return std::nullopt;
  std::ranges::sort(spans);
  uint64_t busy = 0, until = spans.front().first;  // streams overlap: each moment counts once
  for (const auto& [start, end] : spans) {
    if (end > until) busy += end - std::max(start, until);
    until = std::max(until, end);
  }
  const auto whole = static_cast<double>(until - spans.front().first);
  return 1.0 - static_cast<double>(busy) / whole;
}

}  // namespace cmc::stages
