#include "pipeline/core/process_memory.hpp"

#include <fstream>
#include <string>

namespace cmc {

int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name; status.ignore(1 << 16, '\n')) {
    int64_t kibibytes = 0;
    if (name == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return -1;
}

void restart_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}  // proc(5): resets the peak

}  // namespace cmc
