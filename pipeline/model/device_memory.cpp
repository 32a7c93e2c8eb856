#include "pipeline/model/device_memory.hpp"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <string>

#include "pipeline/core/process_memory.hpp"

namespace cmc::model {
namespace {

constexpr auto aggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

c10::DeviceAllocator& allocator(torch::Device device) {
  at::globalContext().lazyInitDevice(device.type());
  return *at::getDeviceAllocator(device.type());
}

DeviceMemory machine_memory() {
  DeviceMemory memory;
  std::ifstream facts("/proc/meminfo");
  for (std::string name; facts >> name; facts.ignore(1 << 16, '\n')) {
    int64_t* const field = name == "MemTotal:" ? &memory.total : name == "MemAvailable:" ? &memory.free : nullptr;
    int64_t kibibytes = 0;
    if (field != nullptr && facts >> kibibytes) *field = kibibytes * 1024;
  }
  return memory;
}

}  // namespace

DeviceMemory memory_of(torch::Device device) {
  if (device.is_cpu()) return machine_memory();
  const auto [free, total] = allocator(device).getMemoryInfo(device.index());
  const auto held = allocator(device).getDeviceStats(device.index());
  const int64_t cached = held.reserved_bytes[aggregate].current - held.allocated_bytes[aggregate].current;
  return {static_cast<int64_t>(total), static_cast<int64_t>(free) + cached};
}

int64_t peak_bytes(torch::Device device) {
  if (device.is_cpu()) return peak_memory_bytes();
  return allocator(device).getDeviceStats(device.index()).allocated_bytes[aggregate].peak;
}

void restart_peak_bytes(torch::Device device) {
  if (device.is_cpu()) return restart_peak_memory();
  allocator(device).resetPeakStats(device.index());
}

int64_t pass_tokens_on(torch::Device device, const checkpoint::ModelConfig& config, torch::Dtype dtype) {
  constexpr uint64_t fewest = 512, enough = 16384;
  const int64_t widest = 3 * config.intermediate + 4 * config.hidden;  // numbers of a token that a layer holds at once
  const int64_t bytes = widest * static_cast<int64_t>(torch::elementSize(dtype));
  const auto fitting = static_cast<uint64_t>(memory_of(device).total / 32 / bytes);
  return static_cast<int64_t>(std::bit_floor(std::clamp(fitting, fewest, enough)));
}

void release_cached_bytes(torch::Device device) {
  if (!device.is_cpu()) allocator(device).emptyCache();
}

void forbid_reduced_sums() {
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
}

}  // namespace cmc::model
