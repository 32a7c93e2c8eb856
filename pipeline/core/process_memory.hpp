#pragma once
#include <cstdint>

namespace cmc {

// The largest resident memory of this process (bytes) since the last restart_peak_memory(), or since its start where
// the system cannot restart it; -1 where it does not tell. Linux: VmHWM of /proc/self/status.
int64_t peak_memory_bytes();
void restart_peak_memory();

}  // namespace cmc
