#include "stages/bench/machine.hpp"

#include <algorithm>
#include <fstream>

#include "pipeline/core/cards.hpp"
#include "pipeline/model/device_memory.hpp"
#include "stages/bench/measure.hpp"

namespace cmc::stages {
namespace {

std::string processor_name() {
  std::ifstream facts("/proc/cpuinfo");
  for (std::string line; std::getline(facts, line);)
    if (line.starts_with("model name") && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  return "a processor without a name";
}

double copy_rate(torch::Device device) {
  // Far beyond any cache; a small machine's memory bounds it.
  const int64_t wanted = device.is_cuda() ? int64_t{1} << 30 : int64_t{1} << 28;
  const int64_t bytes = std::max(int64_t{1} << 20, std::min(wanted, model::memory_of(device).free / 8));
  const torch::Tensor from = torch::ones({bytes}, torch::dtype(torch::kUInt8).device(device));
  torch::Tensor to = torch::empty_like(from);
  const Spread seconds = timed(device, 2, 9, [&] { to.copy_(from); });
  return 2.0 * static_cast<double>(bytes) / seconds.median;
}

double matmul_rate(torch::Device device, torch::Dtype dtype) {
  const int64_t size = device.is_cuda() ? 8192 : 1024;
  const auto options = torch::dtype(dtype).device(device);
  const torch::Tensor a = torch::randn({size, size}, options), b = torch::randn({size, size}, options);
  torch::Tensor product = torch::empty({size, size}, options);
  const Spread seconds = timed(device, 3, 9, [&] { torch::mm_out(product, a, b); });
  const auto edge = static_cast<double>(size);
  return 2 * edge * edge * edge / seconds.median;
}

}  // namespace

std::string device_name(torch::Device device) {
  if (device.is_cpu()) return processor_name();
  const auto known = cards();
  const auto index = static_cast<size_t>(std::max<int>(device.index(), 0));
  return index < known.size() ? known[index].name : "a card without a name";
}

Machine measure_machine(torch::Device device, torch::Dtype dtype) {
  const torch::NoGradGuard no_gradients;
  return {device_name(device), copy_rate(device), matmul_rate(device, dtype)};
}

}  // namespace cmc::stages
