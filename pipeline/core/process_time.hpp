#pragma once

namespace cmc {

// Processor time (seconds, user and system, all threads) that this process has used since its start.
double process_cpu_seconds();

}  // namespace cmc
